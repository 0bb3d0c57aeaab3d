/** One event into one run's file: positions are numbered, an event that is there already is dropped, an altered one refused. */
import { isDeepStrictEqual } from 'node:util';
import type Database from 'better-sqlite3';
import { StemmaError } from '../../../core/errors.js';
import { firstWord } from './embedded-entry.js';
import { corrupt, decodeEvent } from './embedded-file.js';
import { RowBatch } from './row-batch.js';
import { StreamEnds, type StreamEnd } from './stream-ends.js';

export interface NewRow {
  readonly stream: string;
  /** 16 bytes. */
  readonly id: Uint8Array;
  /** The event's protobuf bytes. */
  readonly event: Uint8Array;
  /** CRC-32 of them. */
  readonly crc: number;
  /** null: the next free one. Otherwise greater than those of the stream's earlier events. */
  readonly cursor: number | null;
}

export interface Insert {
  /** Its position in its stream. HASH_MISMATCH if the id is there with another payload. Inside a transaction. */
  insert(row: NewRow): number;
  /** Last in the transaction, or in each savepoint that may be kept while the next is rolled back. */
  save(): void;
  /** Forgets where streams end: after anything was rolled back. */
  reset(): void;
  /** Before a transaction that others may have written ahead of. */
  recheck(): void;
}

interface StoredRow {
  readonly id: Uint8Array;
  readonly event: Uint8Array;
}

export function prepareInsert(db: Database.Database, file: string): Insert {
  const rows = new RowBatch(db, 'INSERT INTO events(cursor, stream, position, id, crc, previous, event)', 7);
  const greatest = db.prepare<[], number>('SELECT coalesce(max(cursor), 0) FROM events').pluck();
  /** Of all rows, those that wait included; undefined: as the file says. Nobody else writes meanwhile. */
  let last: number | undefined;
  const stored = db.prepare<[number], StoredRow>('SELECT id, event FROM events WHERE cursor = ?');
  const ends = new StreamEnds(db, file);

  function find(end: StreamEnd, id: Uint8Array): { readonly position: number; readonly event: Uint8Array } | null {
    for (const position of end.seen.candidates(firstWord(id))) {
      rows.flush();
      const row = stored.get(ends.cursorAt(end, position));
      if (!row) throw corrupt(file, `position ${position} of a stream is missing`);
      if (Buffer.compare(row.id, id) === 0) return { position, event: row.event };
    }
    return null;
  }

  return {
    save() {
      rows.flush();
      ends.save();
    },
    reset() {
      rows.forget();
      last = undefined;
      ends.forget();
    },
    recheck: () => ends.recheck(),
    insert({ stream, id, event, crc, cursor }) {
      const end = ends.of(stream);
      const before = find(end, id);
      if (before) {
        refuseAltered(before.event, event);
        return before.position;
      }
      const at = cursor ?? (last = (last ?? greatest.get() ?? 0) + 1);
      for (const value of [at, end.stream, end.count, id, crc, end.last, event]) rows.put(value);
      return ends.advance(end, at, id);
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
