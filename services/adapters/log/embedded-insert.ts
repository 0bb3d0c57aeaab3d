/** One event into one run's file: positions are numbered, an event that is there already is dropped, an altered one refused. */
import { isDeepStrictEqual } from 'node:util';
import { crc32 } from 'node:zlib';
import type Database from 'better-sqlite3';
import { StemmaError } from '../../../core/errors.js';
import { corrupt, decodeEvent } from './embedded-file.js';

export interface NewRow {
  readonly stream: string;
  /** 16 bytes. */
  readonly id: Uint8Array;
  /** The event's protobuf bytes. */
  readonly event: Uint8Array;
  /** null: the next free one. */
  readonly cursor: number | null;
}

export interface Insert {
  /** HASH_MISMATCH if the id is there with another payload. Inside a transaction. */
  insert(row: NewRow): void;
  /** Forgets where streams end: after anything was rolled back, and before a transaction that others may have written ahead of. */
  reset(): void;
}

interface StreamEnd {
  readonly id: number | bigint;
  next: number;
}

/** Streams whose end is remembered, at about 200 bytes each: memory must not grow with the number of streams. */
const KEPT_ENDS = 50_000;

export function prepareInsert(db: Database.Database, file: string): Insert {
  const findStream = db.prepare<[string], { id: number; next: number }>(
    'SELECT id, (SELECT coalesce(max(position), -1) + 1 FROM events WHERE stream = streams.id) AS next FROM streams WHERE name = ?');
  const addStream = db.prepare('INSERT INTO streams(name) VALUES (?)');
  const addEvent = db.prepare(`INSERT INTO events(cursor, stream, position, id, crc, event) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT(stream, id) DO NOTHING ON CONFLICT(cursor) DO NOTHING`);
  const stored = db.prepare<[number | bigint, Uint8Array], Uint8Array>('SELECT event FROM events WHERE stream = ? AND id = ?').pluck();
  const ends = new Map<string, StreamEnd>();

  function endOf(stream: string): StreamEnd {
    const known = ends.get(stream);
    if (known) return known;
    if (ends.size >= KEPT_ENDS) ends.clear();
    const found = findStream.get(stream) ?? { id: addStream.run(stream).lastInsertRowid, next: 0 };
    ends.set(stream, found);
    return found;
  }

  return {
    reset: () => ends.clear(),
    insert({ stream, id, event, cursor }) {
      const end = endOf(stream);
      if (addEvent.run(cursor, end.id, end.next, id, crc32(event), event).changes === 1) {
        end.next += 1;
        return;
      }
      const before = stored.get(end.id, id);
      if (before === undefined) throw corrupt(file, `another event stands at cursor ${cursor}`);
      refuseAltered(before, event);
    },
  };
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
