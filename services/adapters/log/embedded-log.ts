/** EventLog over one run's SQLite file. Reads go through this thread's own connection: WAL readers see every commit. */
import { setImmediate as nextTick } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import Database from 'better-sqlite3';
import { StemmaError } from '../../../core/errors.js';
import type { EventLog, StopSignal, StoredEvent, TailBatch } from '../../../core/ports.js';
import type { Event } from '../../../proto/gen/stemma/v1/events.js';
import { corrupt, decodeEvent, logError } from './embedded-file.js';
import type { LogWriter } from './embedded-writer.js';

/** How often a reader looks for the commits of a writer in another process. */
const POLL_MS = 50;
const READ_TIMEOUT_MS = 5_000;
/** One page of a read or one batch of a tail: bounds memory and the time this thread is held. */
const PAGE_EVENTS = 1_000;
const PAGE_BYTES = 1024 * 1024;

interface Row {
  readonly cursor: number;
  readonly position: number;
  readonly crc: number;
  readonly event: Uint8Array;
}

export function openReadConnection(file: string): Database.Database {
  try {
    return new Database(file, { readonly: true, fileMustExist: true, timeout: READ_TIMEOUT_MS });
  } catch (error) {
    throw logError(error, file);
  }
}

export class EmbeddedLog implements EventLog {
  private readonly streamPage: Database.Statement<[string, number], Row>;
  private readonly tailPage: Database.Statement<[number], Row>;
  private readonly waiting = new Set<() => void>();
  private closed: Promise<void> | null = null;

  /** Without a writer the log is read-only. Owns the connection. */
  constructor(private readonly file: string, private readonly db: Database.Database, private readonly writer: LogWriter | null) {
    const columns = 'cursor, position, crc, event FROM events';
    this.streamPage = db.prepare<[string, number], Row>(
      `SELECT ${columns} WHERE stream = (SELECT id FROM streams WHERE name = ?) AND position >= ? ORDER BY position`);
    this.tailPage = db.prepare<[number], Row>(`SELECT ${columns} WHERE cursor > ? ORDER BY cursor`);
  }

  async append(events: readonly Event[]): Promise<void> {
    if (!this.writer) throw new StemmaError('log', 'INVALID', `${this.file} was opened for reading`, 'Open the run for writing.');
    await this.writer.append(events);
  }

  async readStream(stream: string, fromPosition = 0): Promise<readonly StoredEvent[]> {
    const stored: StoredEvent[] = [];
    for (;;) {
      const due = fromPosition + stored.length;
      const { rows, full } = this.page(() => this.streamPage.iterate(stream, due));
      rows.forEach((row, index) => stored.push(this.decode(row, { stream, position: due + index })));
      if (!full) return stored;
      await nextTick();
    }
  }

  async *tail(cursor: string, signal: StopSignal): AsyncIterable<TailBatch> {
    let after = parseCursor(cursor);
    signal.addEventListener('abort', () => this.wake());
    while (!signal.aborted && !this.closed) {
      const { rows } = this.page(() => this.tailPage.iterate(after));
      const last = rows[rows.length - 1];
      if (last) {
        after = last.cursor;
        yield { events: rows.map((row) => this.decode(row)), cursor: String(after) };
      } else {
        await this.change();
      }
    }
  }

  /** Ends its tails. */
  close(): Promise<void> {
    this.closed ??= this.shut();
    return this.closed;
  }

  /** Something was committed, aborted or closed: tails look again. */
  wake(): void {
    for (const look of [...this.waiting]) look();
  }

  private async shut(): Promise<void> {
    // After this turn, so that `closed` is set when tails look.
    await Promise.resolve();
    this.wake();
    this.db.close();
    // Last to close, the writer folds the WAL back into the file.
    await this.writer?.close();
  }

  private change(): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.writer ? null : setTimeout(() => look(), POLL_MS);
      const look = (): void => {
        if (timer) clearTimeout(timer);
        this.waiting.delete(look);
        resolve();
      };
      this.waiting.add(look);
    });
  }

  private page(find: () => IterableIterator<Row>): { rows: Row[]; full: boolean } {
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

  private decode(row: Row, due?: { readonly stream: string; readonly position: number }): StoredEvent {
    const { position } = row;
    if (crc32(row.event) !== row.crc) throw corrupt(this.file, `the bytes of event ${row.cursor} were altered`);
    const event = decodeEvent(row.event);
    if (due && (position !== due.position || event.stream !== due.stream)) {
      throw corrupt(this.file, `position ${due.position} of ${due.stream} is missing`);
    }
    return { position, event };
  }
}

function parseCursor(cursor: string): number {
  if (cursor === '') return 0;
  if (/^\d{1,15}$/.test(cursor)) return Number(cursor);
  throw new StemmaError('log', 'INVALID', `"${cursor}" is no cursor of this log`, 'Resume from a cursor that this log gave, or from the start.');
}
