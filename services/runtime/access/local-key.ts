/** The key of whoever starts a platform on this machine: made at its first start, found by the command line of the same home. */
import { existsSync, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import type { Config } from '../config.js';
import { addKey, keysFileOrNew, writeKeysFile, writeSecret } from './keys-file.js';

/** Idempotent. A file of keys that somebody provides is left as it is. */
export function ensureLocalKey({ keysFile, tokenFile }: Config): void {
  const keys = keysFileOrNew(keysFile);
  if (existsSync(keysFile) && (existsSync(tokenFile) || keys.keys.length > 0)) return;
  const { file, token } = addKey(keys, { name: userName(), scopes: ['admin'] });
  // The token first: a key whose token nobody has would be in the way.
  writeSecret(tokenFile, `${token}\n`);
  writeKeysFile(keysFile, file);
}

/** '' where there is none: the gateway then says what to do. */
export function readToken({ tokenFile }: Pick<Config, 'tokenFile'>): string {
  try {
    return readFileSync(tokenFile, 'utf8').trim();
  } catch {
    return '';
  }
}

/** A container may run as a user without a name. */
export function userName(): string {
  try {
    return userInfo().username.replace(/[^A-Za-z0-9@._-]/g, '-') || 'local';
  } catch {
    return 'local';
  }
}
