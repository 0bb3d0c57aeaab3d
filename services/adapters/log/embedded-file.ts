/**
 * The file of one run's log, the same for the writer's thread and for readers.
 *
 *   streams(id, name)
 *   events(cursor, stream, position, id, crc, previous, event)
 *   heads(stream, last, count)            the cursor of the stream's last event, and how many it has: written once a commit
 *   entries(stream, first, crc, body)     where 32 events of a stream lie, once it has them (embedded-entry.ts)
 *
 *   cursor   order of commit over all streams: what a tail resumes from
 *   position 0-based index in the stream
 *   id       16 bytes; unique in its stream, for the stream is part of what an id hashes
 *   crc      CRC-32 of `event` (protobuf bytes), or of an entry: SQLite does not notice a flipped bit in a row
 *   previous cursor of the stream's event before, 0 for none: events that no entry has yet are found from the head backwards
 */
import { closeSync, fsyncSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import type Database from 'better-sqlite3';
import { StemmaError, type ErrorCode } from '../../../core/errors.js';
import { Event } from '../../../proto/gen/stemma/v1/events.js';

/** "STMA": marks a SQLite file as a Stemma log. */
const APPLICATION_ID = 0x53544d41;
const FORMAT_VERSION = 2;

/**
 * Events are appended and have no index of their own: an index over (stream, position) costs a page an event once each stream
 * has pages of its own, whatever is written beside it (docs/decisions/embedded-log.md).
 */
const STREAMS = 'CREATE TABLE streams(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;';
const WRITER = 'CREATE TABLE writer(pid INTEGER NOT NULL, host TEXT NOT NULL, since TEXT NOT NULL) STRICT;';
/** What format 2 has that format 1 had not, or had otherwise. */
export const TABLES = `
  CREATE TABLE events(
    cursor INTEGER PRIMARY KEY, stream INTEGER NOT NULL, position INTEGER NOT NULL,
    id BLOB NOT NULL, crc INTEGER NOT NULL, previous INTEGER NOT NULL, event BLOB NOT NULL
  ) STRICT;
  CREATE TABLE heads(stream INTEGER PRIMARY KEY, last INTEGER NOT NULL, count INTEGER NOT NULL) STRICT;
  CREATE TABLE entries(
    stream INTEGER NOT NULL, first INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY(stream, first)
  ) STRICT, WITHOUT ROWID;
  PRAGMA user_version = ${FORMAT_VERSION};
`;
const SCHEMA = `${STREAMS} ${WRITER} ${TABLES} PRAGMA application_id = ${APPLICATION_ID};`;

/** Survives power loss: WAL with an fsync of it in every commit. */
export function makeDurable(db: Database.Database): void {
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
}

export function createSchema(db: Database.Database, file: string): void {
  db.transaction(() => db.exec(SCHEMA))();
  syncDirectory(dirname(file));
}

/**
 * 'empty': created and killed before its schema was committed; 'old': of format 1, which is read as it is and migrated before it
 * is written (format-1.ts). Reads only; `deep` reads every page.
 */
export function checkFormat(db: Database.Database, file: string, deep: boolean): 'log' | 'old' | 'empty' {
  const applicationId = db.pragma('application_id', { simple: true });
  const version = versionOf(db);
  const tables = db.prepare('SELECT count(*) FROM sqlite_schema').pluck().get();
  if (applicationId === 0 && tables === 0) return 'empty';
  if (applicationId !== APPLICATION_ID) throw corrupt(file, 'it is not a Stemma log');
  if (version > FORMAT_VERSION) {
    throw new StemmaError('log', 'UNSUPPORTED', `log file ${file} has format ${version}; this version reads up to ${FORMAT_VERSION}`,
      'Use the version that wrote it.');
  }
  const found = deep ? db.pragma('quick_check(1)', { simple: true }) : 'ok';
  if (found !== 'ok') throw corrupt(file, String(found));
  return version < FORMAT_VERSION ? 'old' : 'log';
}

export function versionOf(db: Database.Database): number {
  return Number(db.pragma('user_version', { simple: true }));
}

/** Bytes of an event as a plain view: a Buffer's `slice` would alias, and its fields would not equal those of a written event. */
export function decodeEvent(row: Uint8Array): Event {
  return Event.decode(new Uint8Array(row.buffer, row.byteOffset, row.byteLength));
}

/** A new name is durable only once its directory is. */
function syncDirectory(directory: string): void {
  const handle = openSync(directory, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

export function corrupt(file: string, why: string, cause?: unknown): StemmaError {
  return new StemmaError('log', 'CORRUPT', `log file ${file} is damaged: ${why}`,
    `Nothing was changed. Move ${file}, ${file}-wal and ${file}-shm aside and put a good copy in their place, or start a new run.`, cause);
}

/** What SQLite's error means for the caller. */
export function logError(error: unknown, file: string): StemmaError {
  if (error instanceof StemmaError) return error;
  const sqliteCode = (error as { code?: unknown }).code;
  const code = typeof sqliteCode === 'string' ? sqliteCode : '';
  const message = error instanceof Error ? error.message : String(error);
  const as = (kind: ErrorCode, text: string, remedy: string): StemmaError => new StemmaError('log', kind, text, remedy, error);
  if (code === 'SQLITE_FULL' || code === 'SQLITE_IOERR_SHMSIZE' || code === 'ENOSPC') {
    return as('DISK_FULL', `no space left to write ${file}`, 'Free space on that disk and try again: the append was not written, not even in part.');
  }
  // A cursor or an entry that is taken means the heads and the rows disagree.
  if (/^SQLITE_(CORRUPT|NOTADB|CONSTRAINT|FORMAT)/.test(code)) return corrupt(file, message, error);
  if (/^SQLITE_(CANTOPEN|READONLY|PERM|AUTH)/.test(code)) {
    return as('INVALID', `cannot open ${file}: ${message}`, 'Check that its directory exists and that this user may write there.');
  }
  if (code.startsWith('SQLITE_IOERR')) {
    return as('UNAVAILABLE', `the disk failed under ${file}: ${message} (${code})`, 'Check the disk, then start this process again.');
  }
  return as('UNAVAILABLE', `log file ${file}: ${message}`, 'Try again; if it stays, start this process again.');
}
