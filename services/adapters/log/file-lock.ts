/** A lock that the kernel lets go of when its holder dies, however it dies: a file of its own, held in an open SQLite transaction. */
import Database from 'better-sqlite3';
import type { StemmaError } from '../../../core/errors.js';
import { logError } from './embedded-file.js';

/** Covers a predecessor that is still being torn down by the kernel. */
const LOCK_TIMEOUT_MS = 500;

export interface FileLock {
  release(): void;
}

/** Throws what `refusal` says if another process (or thread) holds it. */
export function takeFileLock(lockFile: string, refusal: (cause: unknown) => StemmaError): FileLock {
  const lock = new Database(lockFile, { timeout: LOCK_TIMEOUT_MS });
  try {
    lock.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    const held = error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY');
    throw held ? refusal(error) : logError(error, lockFile);
  }
  return { release: () => void lock.close() };
}
