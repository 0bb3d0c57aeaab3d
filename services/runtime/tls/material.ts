/** Certificate, key and authorities of a process: read from their files and checked as a whole before any of it is used. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import { StemmaError } from '../../../core/errors.js';
import { SYSTEM_AUTHORITIES, type TlsFiles } from '../security-settings.js';

export interface Identity {
  /** PEM, the process's own certificate first. */
  readonly certificate: Buffer;
  readonly key: Buffer;
  /** As in its subjectAltName: DNS:…, IP Address:…, URI:… */
  readonly names: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

export interface TlsMaterial {
  /** null: this process asks and is not asked who it is. */
  readonly identity: Identity | null;
  /** PEM. */
  readonly authorities: Buffer;
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/** INVALID with everything that is wrong with the files. */
export function readTlsMaterial(files: TlsFiles, nowMs: number): TlsMaterial {
  const problems: string[] = [];
  const attempt = <T>(what: string, read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      problems.push(`${what}: ${reasonOf(error)}`);
      return undefined;
    }
  };
  const authorities = attempt(files.caFile, () => readAuthorities(files.caFile));
  const certificate = files.certFile === '' ? undefined : attempt(files.certFile, () => readCertificate(files.certFile, nowMs));
  const key = files.keyFile === '' ? undefined : attempt(files.keyFile, () => readKey(files.keyFile));
  if (certificate && key && !certificate.leaf.checkPrivateKey(createPrivateKey(key))) problems.push(`${files.keyFile}: it is not the key of ${files.certFile}`);
  if (problems.length > 0 || authorities === undefined) {
    throw new StemmaError('setup', 'INVALID', ['the TLS files cannot be used:', ...problems.map((problem) => `  ${problem}`)].join('\n'), 'Write a new certificate with its key, and the authority, to these files.');
  }
  return { authorities, identity: certificate && key ? identityOf(certificate, key) : null };
}

interface Read {
  readonly pem: Buffer;
  readonly leaf: X509Certificate;
}

function identityOf({ pem, leaf }: Read, key: Buffer): Identity {
  return { certificate: pem, key, names: namesIn(leaf.subjectAltName ?? ''), notBeforeMs: Date.parse(leaf.validFrom), notAfterMs: Date.parse(leaf.validTo) };
}

function readAuthorities(file: string): Buffer {
  if (file === SYSTEM_AUTHORITIES) return Buffer.from(rootCertificates.join('\n'));
  const pem = readFileSync(file);
  if (certificatesIn(pem).length === 0) throw new Error('it has no certificate');
  return pem;
}

function readCertificate(file: string, nowMs: number): Read {
  const pem = readFileSync(file);
  const [leaf] = certificatesIn(pem);
  if (leaf === undefined) throw new Error('it has no certificate');
  if (Date.parse(leaf.validTo) <= nowMs) throw new Error(`the certificate expired at ${new Date(leaf.validTo).toISOString()}`);
  if (Date.parse(leaf.validFrom) > nowMs) throw new Error(`the certificate holds from ${new Date(leaf.validFrom).toISOString()} on`);
  return { pem, leaf };
}

function readKey(file: string): Buffer {
  const pem = readFileSync(file);
  createPrivateKey(pem);
  return pem;
}

function certificatesIn(pem: Buffer): X509Certificate[] {
  return (pem.toString('latin1').match(CERTIFICATE) ?? []).map((text) => new X509Certificate(text));
}

/** What fails here must not show what is in a key's file. */
function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code?.startsWith('ERR_OSSL') === true) return 'it is no PEM file of that kind';
  return code ?? message;
}

/** Entries of a subjectAltName. Node quotes those that hold what separates entries; nothing of ours does, so they are left out. */
export function namesIn(subjectAltName: string): string[] {
  const entries = subjectAltName.match(/(?:[^,"]|"(?:[^"\\]|\\.)*")+/g) ?? [];
  return entries.map((entry) => entry.trim()).filter((entry) => entry !== '' && !entry.includes('"'));
}
