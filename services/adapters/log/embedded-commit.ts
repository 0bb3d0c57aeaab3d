/** One commit of many appends: each append is in it as a whole or not at all. */
import { isDeepStrictEqual } from 'node:util';
import { crc32 } from 'node:zlib';
import type Database from 'better-sqlite3';
import { StemmaError } from '../../../core/errors.js';
import { decodeEvent, logError } from './embedded-file.js';
import { toWire, type CommitGroup, type WireError } from './embedded-protocol.js';

const ID_BYTES = 16;

export type Commit = (group: CommitGroup) => readonly (WireError | null)[];

export function prepareCommit(db: Database.Database, file: string): Commit {
  const insertGroup = prepareInsert(db);
  let broken: WireError | null = null;
  return (group) => {
    if (broken !== null) return Array.from(group.counts, () => broken);
    try {
      return insertGroup(group);
    } catch (error) {
      const failed = logError(error, file);
      // After a failed fsync the page cache may claim what the disk does not hold: nothing can be promised until reopened.
      if (failed.code !== 'DISK_FULL') broken = toWire(failed);
      return Array.from(group.counts, () => toWire(failed));
    }
  };
}

interface StreamEnd {
  readonly id: number | bigint;
  next: number;
}

function prepareInsert(db: Database.Database): Commit {
  const findStream = db.prepare<[string], { id: number; next: number }>(
    'SELECT id, (SELECT coalesce(max(position), -1) + 1 FROM events WHERE stream = streams.id) AS next FROM streams WHERE name = ?');
  const addStream = db.prepare('INSERT INTO streams(name) VALUES (?)');
  const insert = db.prepare('INSERT INTO events(stream, position, id, crc, event) VALUES (?, ?, ?, ?, ?) ON CONFLICT(stream, id) DO NOTHING');
  const stored = db.prepare<[number | bigint, Uint8Array], Uint8Array>('SELECT event FROM events WHERE stream = ? AND id = ?').pluck();
  // Within one commit only: memory must not grow with the number of streams.
  const ends = new Map<string, StreamEnd>();

  function endOf(stream: string): StreamEnd {
    const known = ends.get(stream) ?? findStream.get(stream) ?? { id: addStream.run(stream).lastInsertRowid, next: 0 };
    ends.set(stream, known);
    return known;
  }

  function insertEvent(group: CommitGroup, index: number, bytes: Uint8Array): void {
    const end = endOf(group.streams[index]!);
    const id = group.ids.subarray(index * ID_BYTES, (index + 1) * ID_BYTES);
    const { changes } = insert.run(end.id, end.next, id, crc32(bytes), bytes);
    if (changes === 1) end.next += 1;
    else refuseAltered(stored.get(end.id, id)!, bytes);
  }

  // Nested, better-sqlite3 makes this a savepoint.
  const insertAppend = db.transaction((group: CommitGroup, from: number, to: number, offset: number) => {
    let at = offset;
    for (let index = from; index < to; index += 1) {
      const next = at + group.lengths[index]!;
      insertEvent(group, index, group.bytes.subarray(at, next));
      at = next;
    }
  });

  return db.transaction((group: CommitGroup) => {
    ends.clear();
    let from = 0;
    let offset = 0;
    return Array.from(group.counts, (count) => {
      const start = from;
      const startOffset = offset;
      from += count;
      for (let index = start; index < from; index += 1) offset += group.lengths[index]!;
      try {
        insertAppend(group, start, from, startOffset);
        return null;
      } catch (error) {
        if (!(error instanceof StemmaError)) throw error;
        ends.clear();
        return toWire(error);
      }
    });
  }).immediate;
}

/** recordedAt and seq may differ when a fact is written again; the fact may not. */
function refuseAltered(storedBytes: Uint8Array, bytes: Uint8Array): void {
  const before = decodeEvent(storedBytes);
  const again = decodeEvent(bytes);
  if (isDeepStrictEqual(before.payload, again.payload)) return;
  throw new StemmaError('log', 'HASH_MISMATCH',
    `event ${again.id} (${again.payload?.$case ?? 'empty'}) is in ${again.stream} with another payload`,
    'One key names one fact: read the stream back and go on from what it says.');
}
