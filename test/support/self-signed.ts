/** Certificates for tests, made with openssl: an authority of one's own and a server that it vouches for. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface SelfSigned {
  /** PEM files. */
  readonly authority: string;
  /** Private key (PKCS 8) and certificate of a server at 127.0.0.1. */
  readonly server: string;
}

const DAYS = '2';
const ELLIPTIC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

export function selfSigned(directory: string, name: string): SelfSigned {
  const file = (ending: string): string => join(directory, `${name}.${ending}`);
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'pipe' });
  openssl('req', '-x509', ...ELLIPTIC, '-keyout', file('ca.key'), '-out', file('ca.pem'), '-days', DAYS, '-subj', `/CN=${name}`);
  openssl('req', ...ELLIPTIC, '-keyout', file('key'), '-out', file('csr'), '-subj', '/CN=broker');
  writeFileSync(file('ext'), 'subjectAltName=IP:127.0.0.1\n');
  openssl('x509', '-req', '-in', file('csr'), '-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial', '-out', file('crt'), '-days', DAYS, '-extfile', file('ext'));
  writeFileSync(file('server.pem'), readFileSync(file('key'), 'utf8') + readFileSync(file('crt'), 'utf8'));
  return { authority: file('ca.pem'), server: file('server.pem') };
}
