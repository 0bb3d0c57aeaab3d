/** Reads one run's SQLite file on this thread's own connection: WAL readers see every commit. */
import { setImmediate as nextTick } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import Database from 'better-sqlite3';
import type { StoredEvent } from '../../../core/ports.js';
import { corrupt, decodeEvent, logError, versionOf } from './embedded-file.js';
import { OLD_VERSION, prepareOldStream } from './format-1.js';
import { pageFrom, type Page, type Row } from './page.js';
import { StreamPages } from './stream-pages.js';

const READ_TIMEOUT_MS = 5_000;

export function openReadConnection(file: string): Database.Database {
  try {
    return new Database(file, { readonly: true, fileMustExist: true, timeout: READ_TIMEOUT_MS });
  } catch (error) {
    throw logError(error, file);
  }
}

export class FileReader {
  /** While the file is of format 1. */
  private oldStream: ReturnType<typeof prepareOldStream> | null;
  private stream: StreamPages | null = null;
  private readonly inRange: Database.Statement<[number, number], Row>;

  constructor(private readonly file: string, private readonly db: Database.Database) {
    this.oldStream = versionOf(db) === OLD_VERSION ? prepareOldStream(db) : null;
    this.inRange = db.prepare<[number, number], Row>('SELECT cursor, position, crc, event FROM events WHERE cursor > ? AND cursor < ? ORDER BY cursor');
  }

  async readStream(stream: string, fromPosition: number): Promise<StoredEvent[]> {
    const stored: StoredEvent[] = [];
    for (;;) {
      const due = fromPosition + stored.length;
      const { rows, full } = this.pageOf(stream, due);
      rows.forEach((row, index) => stored.push(this.decode(row, { stream, position: due + index })));
      if (!full) return stored;
      await nextTick();
    }
  }

  /** Rows with a cursor between the two, neither included. */
  between(after: number, before = Number.MAX_SAFE_INTEGER): Page {
    return this.guarded(() => pageFrom(this.inRange.iterate(after, before)));
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

  private pageOf(stream: string, fromPosition: number): Page {
    return this.guarded(() => {
      // A writer migrates the file while others read it.
      if (this.oldStream && versionOf(this.db) !== OLD_VERSION) this.oldStream = null;
      if (this.oldStream) return pageFrom(this.oldStream(stream, fromPosition));
      this.stream ??= new StreamPages(this.file, this.db);
      return this.stream.page(stream, fromPosition);
    });
  }

  private guarded(read: () => Page): Page {
    try {
      return read();
    } catch (error) {
      throw logError(error, this.file);
    }
  }
}
