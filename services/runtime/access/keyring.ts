/** The keys as a running process sees them: read anew when the file changes, so that adding or removing one needs no restart. */
import { statSync } from 'node:fs';
import type { Logger } from '../logger.js';
import { sha256Hex } from '../canonical-json.js';
import { readKeysFile, type AccessKey, type KeysFile } from './keys-file.js';

export interface Keyring {
  /** Whose token this is; undefined: nobody's. It may have expired. */
  holder(token: string): AccessKey | undefined;
  /** Secret of the seals; '' as long as there is no file. */
  sealSecret(): string;
}

interface Read {
  readonly version: string;
  readonly file: KeysFile;
  readonly byHash: ReadonlyMap<string, AccessKey>;
}

const NONE: Read = { version: '', file: { seal: '', keys: [] }, byHash: new Map() };

/** A file that has become unreadable leaves the keys as they were, and is said once a change. */
export function openKeyring(file: string, logger: Pick<Logger, 'warn'>): Keyring {
  let known = NONE;
  const current = (): Read => {
    const version = versionOf(file);
    if (version === known.version) return known;
    try {
      const read = readKeysFile(file);
      known = { version, file: read, byHash: new Map(read.keys.map((key) => [key.sha256, key])) };
    } catch (error) {
      if (version !== '') logger.warn({ err: error }, 'access keys: going on with those read before');
      known = { ...known, version };
    }
    return known;
  };
  return {
    // Looked up by hash: how long it takes says nothing about the token.
    holder: (token) => current().byHash.get(sha256Hex(token)),
    sealSecret: () => current().file.seal,
  };
}

function versionOf(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false, bigint: true });
  return stat === undefined ? '' : `${stat.ino}/${stat.mtimeNs}/${stat.size}`;
}
