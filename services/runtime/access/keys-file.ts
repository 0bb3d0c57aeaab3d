/**
 * The file of access keys: who may do what at the gateway. It holds hashes, never tokens, and the secret with which the
 * gateway seals who asked (attribution.ts). Mode 0600; in a cluster a mounted Secret.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { StemmaError } from '../../../core/errors.js';
import { sha256Hex } from '../canonical-json.js';
import { SCOPES, type Scope } from './scopes.js';

const KEY = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9@._-]{0,63}$/, 'letters, digits, @ . _ -, at most 64'),
  scopes: z.array(z.enum(SCOPES)).min(1),
  /** Hex SHA-256 of the token. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'a hex SHA-256'),
  /** ISO 8601; absent: for ever. */
  expiresAt: z.iso.datetime().optional(),
});

const FILE = z.strictObject({
  /** 32 random bytes, base64. Shared by gateways and workers. */
  seal: z.base64().min(44),
  keys: z.array(KEY),
}).superRefine(({ keys }, context) => {
  const names = keys.map(({ name }) => name);
  for (const name of new Set(names.filter((name, at) => names.indexOf(name) !== at))) context.addIssue({ code: 'custom', path: ['keys'], message: `two keys are named ${name}` });
});

export type AccessKey = z.infer<typeof KEY>;
export type KeysFile = z.infer<typeof FILE>;

/** INVALID with every problem; NOT_FOUND where there is no file. */
export function readKeysFile(file: string): KeysFile {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new StemmaError('gateway', 'NOT_FOUND', `the file of access keys ${file} cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}`,
      'Make it with `npm run stemma -- keys add NAME --scopes read,control`, or set STEMMA_KEYS_FILE.', error);
  }
  const parsed = FILE.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  throw new StemmaError('gateway', 'INVALID', [`${file} is no file of access keys:`, ...parsed.error.issues.map(({ path, message }) => `  ${path.join('.') || 'the whole'}: ${message}`)].join('\n'),
    'Correct it, or make a new one with `npm run stemma -- keys add`.');
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** As it is, or a new one without keys. */
export function keysFileOrNew(file: string): KeysFile {
  try {
    return readKeysFile(file);
  } catch (error) {
    if (error instanceof StemmaError && error.code === 'NOT_FOUND' && (error.cause as NodeJS.ErrnoException).code === 'ENOENT') {
      return { seal: newSeal(), keys: [] };
    }
    throw error;
  }
}

export function newSeal(): string {
  return randomBytes(32).toString('base64');
}

/** Replaced as a whole: a reader sees the old file or the new one. */
export function writeKeysFile(file: string, keys: KeysFile): void {
  writeSecret(file, `${JSON.stringify(keys, null, 2)}\n`);
}

export function writeSecret(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  const draft = `${file}.${process.pid}.tmp`;
  rmSync(draft, { force: true });
  writeFileSync(draft, text, { mode: 0o600, flag: 'wx' });
  renameSync(draft, file);
}

export interface NewKey {
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly expiresAt?: string;
}

/** The token is nowhere but in the answer. INVALID where the name is taken. */
export function addKey(keys: KeysFile, { name, scopes, expiresAt }: NewKey): { readonly file: KeysFile; readonly token: string } {
  if (keys.keys.some((key) => key.name === name)) throw new StemmaError('gateway', 'INVALID', `there is a key named ${name}`, 'Remove it first, or choose another name.');
  const token = `stemma_${randomBytes(32).toString('base64url')}`;
  const key = KEY.safeParse({ name, scopes: [...new Set(scopes)], sha256: sha256Hex(token), ...(expiresAt === undefined ? {} : { expiresAt }) });
  if (!key.success) throw new StemmaError('gateway', 'INVALID', key.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '), 'Correct the key and try again.');
  return { token, file: { ...keys, keys: [...keys.keys, key.data] } };
}
