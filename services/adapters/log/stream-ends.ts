/** Where streams end, for who writes: kept in memory for the streams of late, read from the file for others. */
import type Database from 'better-sqlite3';
import { corrupt } from './embedded-file.js';
import { cursorOf, ENTRY_EVENTS, entryRow, firstWord, indexedOf, newEntry, readEntry, setEntry, wordOf, type Entry, type EntryRow } from './embedded-entry.js';
import { RowBatch } from './row-batch.js';
import { LongSeen, ShortSeen, type SeenWords } from './seen-words.js';

/** A whole number of entries: the words of a stream that grows beyond it are read from them. */
const SHORT = 16 * ENTRY_EVENTS;

/** What a remembered stream holds beside its words: objects, its name and the entry that is being filled. */
const END_BYTES = 900;
/** Of each of two generations. Doubled, up to the most, while streams come back that were forgotten: 100,000 at once are 130 MB. */
const FIRST_BYTES = 16 * 1024 * 1024;
const MOST_BYTES = 128 * 1024 * 1024;

export interface StreamEnd {
  readonly stream: number;
  /** Cursor of its last event; 0 if it has none. */
  last: number;
  count: number;
  /** Being filled. */
  readonly entry: Entry;
  seen: SeenWords;
  changed: boolean;
  /** When it was last known to be as in the file. */
  checked: number;
}

interface HeadRow {
  readonly id: number;
  readonly last: number;
  readonly count: number;
}

interface LinkRow {
  readonly stream: number;
  readonly position: number;
  readonly id: Uint8Array;
  readonly previous: number;
}

export class StreamEnds {
  private young = new Map<string, StreamEnd>();
  private old = new Map<string, StreamEnd>();
  private youngBytes = 0;
  private mostBytes = FIRST_BYTES;
  private forgotten = 0;
  private changed: StreamEnd[] = [];
  private round = 0;
  private readonly findHead;
  private readonly addStream;
  private readonly heads;
  private readonly addEntry;
  private readonly findEntries;
  private readonly findEntry;
  private readonly link;

  constructor(db: Database.Database, private readonly file: string) {
    this.findHead = db.prepare<[string], HeadRow>(
      'SELECT id, coalesce(last, 0) AS last, coalesce(count, 0) AS count FROM streams LEFT JOIN heads ON stream = id WHERE name = ?');
    this.addStream = db.prepare('INSERT INTO streams(name) VALUES (?)');
    this.heads = new RowBatch(db, 'INSERT OR REPLACE INTO heads(stream, last, count)', 3);
    this.addEntry = db.prepare('INSERT INTO entries(stream, first, crc, body) VALUES (?, ?, ?, ?)');
    this.findEntries = db.prepare<[number], EntryRow>('SELECT first, crc, body FROM entries WHERE stream = ? ORDER BY first');
    this.findEntry = db.prepare<[number, number], EntryRow>('SELECT first, crc, body FROM entries WHERE stream = ? AND first = ?');
    this.link = db.prepare<[number], LinkRow>('SELECT stream, position, id, previous FROM events WHERE cursor = ?');
  }

  of(name: string): StreamEnd {
    const young = this.young.get(name);
    if (young?.checked === this.round) return young;
    const end = this.current(young ?? this.old.get(name), name);
    end.checked = this.round;
    if (end !== young) {
      this.young.set(name, end);
      this.youngBytes += END_BYTES + end.seen.bytes;
    }
    return end;
  }

  /** The event now stands at the stream's end: its position. */
  advance(end: StreamEnd, cursor: number, id: Uint8Array): number {
    const word = firstWord(id);
    const at = end.count % ENTRY_EVENTS;
    setEntry(end.entry, at, cursor, word);
    const before = end.seen.bytes;
    end.seen.add(word);
    end.last = cursor;
    end.count += 1;
    if (at + 1 === ENTRY_EVENTS) {
      const { first, crc, body } = entryRow(end.entry, end.count - ENTRY_EVENTS);
      this.addEntry.run(end.stream, first, crc, body);
      if (end.count === SHORT) end.seen = this.seenOf(end.stream, end.count);
    }
    this.youngBytes += end.seen.bytes - before;
    if (!end.changed) this.changed.push(end);
    end.changed = true;
    return end.count - 1;
  }

  /** The cursor of an event of the stream. */
  cursorAt(end: StreamEnd, position: number): number {
    if (position >= indexedOf(end.count)) return cursorOf(end.entry, position % ENTRY_EVENTS);
    const row = this.findEntry.get(end.stream, indexedOf(position));
    return cursorOf(this.read(row, indexedOf(position)), position % ENTRY_EVENTS);
  }

  /** Writes the ends that moved: last in every transaction. */
  save(): void {
    for (const end of this.changed) {
      for (const value of [end.stream, end.last, end.count]) this.heads.put(value);
      end.changed = false;
    }
    this.heads.flush();
    this.changed = [];
    // Not between two events of a transaction: what is forgotten must be as in the file.
    if (this.youngBytes > this.mostBytes) this.age();
  }

  /** After a rollback. */
  forget(): void {
    this.heads.forget();
    this.young.clear();
    this.old.clear();
    this.youngBytes = 0;
    this.changed = [];
  }

  /** Others may have written: what is remembered holds if the file says the same. */
  recheck(): void {
    this.round += 1;
  }

  private age(): void {
    if (this.forgotten * 8 > this.young.size) this.mostBytes = Math.min(MOST_BYTES, 2 * this.mostBytes);
    this.forgotten = 0;
    this.old = this.young;
    this.young = new Map();
    this.youngBytes = 0;
  }

  private current(known: StreamEnd | undefined, name: string): StreamEnd {
    if (known?.checked === this.round) return known;
    const head = this.findHead.get(name);
    if (!head) return this.fresh(Number(this.addStream.run(name).lastInsertRowid));
    if (known && known.last === head.last && known.count === head.count) return known;
    this.forgotten += 1;
    return this.load(head, name);
  }

  private fresh(stream: number): StreamEnd {
    return { stream, last: 0, count: 0, entry: newEntry(), seen: new ShortSeen(), changed: false, checked: this.round };
  }

  private load({ id: stream, last, count }: HeadRow, name: string): StreamEnd {
    const end = { ...this.fresh(stream), last, count, seen: this.seenOf(stream, count) };
    let cursor = last;
    for (let position = count - 1; position >= indexedOf(count); position -= 1) {
      const row = this.link.get(cursor);
      if (row?.stream !== stream || row.position !== position) throw corrupt(this.file, `position ${position} of ${name} is missing`);
      setEntry(end.entry, position % ENTRY_EVENTS, cursor, firstWord(row.id));
      cursor = row.previous;
    }
    for (let at = 0; at < count % ENTRY_EVENTS; at += 1) end.seen.add(wordOf(end.entry, at));
    return end;
  }

  /** Of the events that are in entries. */
  private seenOf(stream: number, count: number): SeenWords {
    const seen = count < SHORT ? new ShortSeen() : new LongSeen();
    let first = 0;
    for (const row of this.findEntries.iterate(stream)) {
      const entry = this.read(row, first);
      for (let at = 0; at < ENTRY_EVENTS; at += 1) seen.add(wordOf(entry, at));
      first += ENTRY_EVENTS;
    }
    if (first !== indexedOf(count)) throw corrupt(this.file, `entry ${first} of stream ${stream} is missing`);
    return seen;
  }

  private read(row: EntryRow | undefined, first: number): Entry {
    const entry = row?.first === first ? readEntry(row) : null;
    if (!entry) throw corrupt(this.file, `entry ${first} of a stream is missing or was altered`);
    return entry;
  }
}
