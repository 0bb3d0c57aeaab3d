/** An authority for tests, made with openssl, and certificates that it vouches for: good ones, and ones with one thing wrong. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TlsFiles } from '../../services/runtime/security-settings.js';

export interface Subject {
  /** As in openssl's subjectAltName: IP:127.0.0.1, DNS:…, URI:… */
  readonly names: readonly string[];
  /** Default: from yesterday until tomorrow. As in `openssl ca`: YYMMDDHHMMSSZ. */
  readonly from?: string;
  readonly until?: string;
}

export interface Authority {
  readonly caFile: string;
  /** New files in a folder of their own. */
  issue(name: string, subject: Subject): TlsFiles;
  /** Puts these in place of those, each whole, as a mounted Secret changes. */
  replace(old: TlsFiles, by: TlsFiles): void;
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
const DAY_MS = 86_400_000;

/** As a role of this house is named in its certificate. */
export function roleName(role: string, house = 'stemma.test'): string {
  return `URI:spiffe://${house}/stemma/${role}`;
}

export const HERE = ['IP:127.0.0.1', 'DNS:localhost'];

export function authority(directory: string, name: string): Authority {
  const home = join(directory, name);
  mkdirSync(home, { recursive: true });
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'pipe', cwd: home });
  writeFileSync(join(home, 'index'), '');
  writeFileSync(join(home, 'serial'), '01');
  writeFileSync(join(home, 'ca.cnf'), ['[ca]', 'default_ca=this', '[this]', 'database=index', 'serial=serial', 'new_certs_dir=.', 'default_md=sha256', 'policy=any', 'unique_subject=no',
    'certificate=ca.pem', 'private_key=ca.key', '[any]', 'commonName=supplied', ''].join('\n'));
  openssl('req', '-x509', ...KEY, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', `/CN=${name}`);
  let issued = 0;
  return {
    caFile: join(home, 'ca.pem'),
    issue(what, { names, from = time(-DAY_MS), until = time(DAY_MS) }) {
      issued += 1;
      const folder = join(home, `${what}-${issued}`);
      mkdirSync(folder);
      const file = (ending: string): string => join(folder, ending);
      writeFileSync(file('ext'), `subjectAltName=${names.join(',')}\n`);
      openssl('req', ...KEY, '-keyout', file('tls.key'), '-out', file('csr'), '-subj', `/CN=${what}`);
      openssl('ca', '-batch', '-config', 'ca.cnf', '-in', file('csr'), '-out', file('tls.crt'), '-startdate', from, '-enddate', until, '-extfile', file('ext'), '-notext');
      copyFileSync(join(home, 'ca.pem'), file('ca.crt'));
      return { certFile: file('tls.crt'), keyFile: file('tls.key'), caFile: file('ca.crt') };
    },
    replace(old, by) {
      for (const which of ['certFile', 'keyFile', 'caFile'] as const) {
        copyFileSync(by[which], `${old[which]}.new`);
        renameSync(`${old[which]}.new`, old[which]);
      }
    },
  };
}

function time(fromNowMs: number): string {
  return `${new Date(Date.now() + fromNowMs).toISOString().replace(/[-:T]|\.\d+/g, '')}`.slice(2);
}

export const LONG_AGO = { from: '200101000000Z', until: '200201000000Z' };
