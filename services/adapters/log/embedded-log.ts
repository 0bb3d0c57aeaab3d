/** EventLog over one run's SQLite file. */
import type Database from 'better-sqlite3';
import { StemmaError } from '../../../core/errors.js';
import type { EventLog, StopSignal, StoredEvent, TailBatch } from '../../../core/ports.js';
import type { Event } from '../../../proto/gen/stemma/v1/events.js';
import { FileReader } from './embedded-reader.js';
import type { LogWriter } from './embedded-writer.js';
import { Tails } from './tails.js';

/** How often a reader looks for the commits of a writer in another process. */
const POLL_MS = 50;

export class EmbeddedLog implements EventLog {
  private readonly reader: FileReader;
  private readonly tails = new Tails();
  private closed: Promise<void> | null = null;

  /** Without a writer the log is read-only. Owns the connection. */
  constructor(private readonly file: string, private readonly db: Database.Database, private readonly writer: LogWriter | null) {
    this.reader = new FileReader(file, db);
  }

  async append(events: readonly Event[]): Promise<readonly number[]> {
    if (!this.writer) throw new StemmaError('log', 'INVALID', `${this.file} was opened for reading`, 'Open the run for writing.');
    return await this.writer.append(events);
  }

  readStream(stream: string, fromPosition = 0): Promise<readonly StoredEvent[]> {
    if (this.writer?.endOf(stream) === fromPosition) return Promise.resolve([]);
    return this.reader.readStream(stream, fromPosition);
  }

  async *tail(cursor: string, signal: StopSignal): AsyncIterable<TailBatch> {
    let after = parseCursor(cursor);
    signal.addEventListener('abort', () => this.wake());
    while (!signal.aborted && !this.closed) {
      const { rows } = this.reader.between(after);
      const last = rows[rows.length - 1];
      if (last) {
        after = last.cursor;
        yield { events: rows.map((row) => this.reader.decode(row)), cursor: String(after) };
      } else {
        await this.tails.news(this.writer ? undefined : POLL_MS);
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
    this.tails.wake();
  }

  private async shut(): Promise<void> {
    // After this turn, so that `closed` is set when tails look.
    await Promise.resolve();
    this.wake();
    this.db.close();
    // Last to close, the writer folds the WAL back into the file.
    await this.writer?.close();
  }
}

function parseCursor(cursor: string): number {
  if (cursor === '') return 0;
  if (/^\d{1,15}$/.test(cursor)) return Number(cursor);
  throw new StemmaError('log', 'INVALID', `"${cursor}" is no cursor of this log`, 'Resume from a cursor that this log gave, or from the start.');
}
