/** Reads one run's SQLite file on this thread's own connection: WAL readers see every commit. */
import { setImmediate as nextTick } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import Database from 'better-sqlite3';
import type { StoredEvent } from '../../../core/ports.js';
import { corrupt, decodeEvent, logError } from './embedded-file.js';

const READ_TIMEOUT_MS = 5_000;
/** One page of a read or one batch of a tail: bounds memory and the time this thread is held. */
const PAGE_EVENTS = 1_000;
const PAGE_BYTES = 1024 * 1024;

export interface Row {
  readonly cursor: number;
  readonly position: number;
  readonly crc: number;
  readonly event: Uint8Array;
}

export interface Page {
  readonly rows: readonly Row[];
  /** There may be more. */
  readonly full: boolean;
}

export function openReadConnection(file: string): Database.Database {
  try {
    return new Database(file, { readonly: true, fileMustExist: true, timeout: READ_TIMEOUT_MS });
  } catch (error) {
    throw logError(error, file);
  }
}

export class FileReader {
  private readonly ofStream: Database.Statement<[string, number], Row>;
  private readonly inRange: Database.Statement<[number, number], Row>;

  constructor(private readonly file: string, db: Database.Database) {
    const columns = 'cursor, position, crc, event FROM events';
    this.ofStream = db.prepare<[string, number], Row>(
      `SELECT ${columns} WHERE stream = (SELECT id FROM streams WHERE name = ?) AND position >= ? ORDER BY position`);
    this.inRange = db.prepare<[number, number], Row>(`SELECT ${columns} WHERE cursor > ? AND cursor < ? ORDER BY cursor`);
  }

  async readStream(stream: string, fromPosition: number): Promise<StoredEvent[]> {
    const stored: StoredEvent[] = [];
    for (;;) {
      const due = fromPosition + stored.length;
      const { rows, full } = this.page(() => this.ofStream.iterate(stream, due));
      rows.forEach((row, index) => stored.push(this.decode(row, { stream, position: due + index })));
      if (!full) return stored;
      await nextTick();
    }
  }

  /** Rows with a cursor between the two, neither included. */
  between(after: number, before = Number.MAX_SAFE_INTEGER): Page {
    return this.page(() => this.inRange.iterate(after, before));
  }

  decode(row: Row, due?: { readonly stream: string; readonly position: number }): StoredEvent {
    const { position } = row;
    if (crc32(row.event) !== row.crc) throw corrupt(this.file, `the bytes of event ${row.cursor} were altered`);
    const event = decodeEvent(row.event);
    if (due && (position !== due.position || event.stream !== due.stream)) {
      throw corrupt(this.file, `position ${due.position} of ${due.stream} is missing`);
    }
    return { position, event };
  }

  private page(find: () => IterableIterator<Row>): Page {
    const rows: Row[] = [];
    let bytes = 0;
    try {
      for (const row of find()) {
        rows.push(row);
        bytes += row.event.length;
        if (rows.length === PAGE_EVENTS || bytes >= PAGE_BYTES) return { rows, full: true };
      }
      return { rows, full: false };
    } catch (error) {
      throw logError(error, this.file);
    }
  }
}
