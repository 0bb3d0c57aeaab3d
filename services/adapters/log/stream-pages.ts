/**
 * A stream's rows in order: by its entries, then by the chain from its head back to where they end.
 * What is found stays true while others write: entries and rows are never altered, and a head only moves on.
 */
import type Database from 'better-sqlite3';
import { cursorOf, ENTRY_EVENTS, indexedOf, readEntry, type EntryRow } from './embedded-entry.js';
import { corrupt } from './embedded-file.js';
import { pageFrom, type Page, type Row } from './page.js';

interface Head {
  readonly stream: number;
  readonly last: number;
  readonly count: number;
}

interface Linked extends Row {
  readonly previous: number;
}

export class StreamPages {
  private readonly head: Database.Statement<[string], Head>;
  private readonly entry: Database.Statement<[number, number], EntryRow>;
  private readonly row: Database.Statement<[number], Linked>;

  constructor(private readonly file: string, db: Database.Database) {
    this.head = db.prepare<[string], Head>('SELECT stream, last, count FROM heads WHERE stream = (SELECT id FROM streams WHERE name = ?)');
    this.entry = db.prepare<[number, number], EntryRow>('SELECT first, crc, body FROM entries WHERE stream = ? AND first = ?');
    this.row = db.prepare<[number], Linked>('SELECT cursor, position, crc, event, previous FROM events WHERE cursor = ?');
  }

  page(name: string, fromPosition: number): Page {
    const head = this.head.get(name);
    return head && fromPosition < head.count ? pageFrom(this.rows(name, head, fromPosition)) : { rows: [], full: false };
  }

  private *rows(name: string, head: Head, fromPosition: number): Generator<Row> {
    const indexed = indexedOf(head.count);
    let position = fromPosition;
    while (position < indexed) {
      const first = indexedOf(position);
      const row = this.entry.get(head.stream, first);
      const entry = row ? readEntry(row) : null;
      if (!entry) throw corrupt(this.file, `the index of ${name} from position ${first} on is missing or was altered`);
      for (; position < first + ENTRY_EVENTS; position += 1) yield this.at(cursorOf(entry, position - first), name, position);
    }
    yield* this.chain(name, head, position);
  }

  /** Fewer than an entry's. */
  private chain(name: string, { last, count }: Head, fromPosition: number): Row[] {
    const rows: Row[] = [];
    let cursor = last;
    for (let position = count - 1; position >= fromPosition; position -= 1) {
      const row = this.at(cursor, name, position);
      rows.push(row);
      cursor = row.previous;
    }
    return rows.reverse();
  }

  private at(cursor: number, name: string, position: number): Linked {
    const row = this.row.get(cursor);
    if (row?.position === position) return row;
    throw corrupt(this.file, `position ${position} of ${name} is missing`);
  }
}
