/** One event into one run's file: positions are numbered, an event that is there already is dropped, an altered one refused. */
import { isDeepStrictEqual } from 'node:util';
import type Database from 'better-sqlite3';
import { StemmaError } from '../../../core/errors.js';
import { firstWord } from './embedded-entry.js';
import { corrupt, decodeEvent } from './embedded-file.js';
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
  const rows = new NewRows(db);
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
      const at = cursor ?? rows.nextCursor();
      rows.add(at, end.stream, end.count, id, crc, end.last, event);
      return ends.advance(end, at, id);
    },
  };
}

const ROW = '(?, ?, ?, ?, ?, ?, ?)';
const COLUMNS = 7;
/** So many rows a statement take a fifth less time than one by one; more take no less. */
const TOGETHER = 16;

/** Rows of a transaction, written some together. */
class NewRows {
  private readonly addOne;
  private readonly addMany;
  private readonly greatest;
  private readonly values: unknown[] = [];
  /** Of all rows, those that wait included; undefined: as the file says. */
  private last: number | undefined;

  constructor(db: Database.Database) {
    const insert = 'INSERT INTO events(cursor, stream, position, id, crc, previous, event) VALUES';
    this.addOne = db.prepare(`${insert} ${ROW}`);
    this.addMany = db.prepare(`${insert} ${Array.from({ length: TOGETHER }, () => ROW).join(', ')}`);
    this.greatest = db.prepare<[], number>('SELECT coalesce(max(cursor), 0) FROM events').pluck();
  }

  /** Nobody else writes meanwhile. */
  nextCursor(): number {
    this.last = (this.last ?? this.greatest.get() ?? 0) + 1;
    return this.last;
  }

  add(...row: readonly [cursor: number, stream: number, position: number, id: Uint8Array, crc: number, previous: number, event: Uint8Array]): void {
    this.values.push(...row);
    if (this.values.length < TOGETHER * COLUMNS) return;
    this.addMany.run(this.values);
    this.values.length = 0;
  }

  /** Before anything is read that may be among them. */
  flush(): void {
    for (let at = 0; at < this.values.length; at += COLUMNS) this.addOne.run(this.values.slice(at, at + COLUMNS));
    this.values.length = 0;
  }

  forget(): void {
    this.values.length = 0;
    this.last = undefined;
  }
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
