/**
 * Files of format 1, which earlier versions wrote: events(cursor, stream, position, id, crc, event) with UNIQUE(stream, position)
 * and UNIQUE(stream, id), and nothing of heads and entries. Read as they are; rewritten once, by the first writer.
 */
import type Database from 'better-sqlite3';
import { ENTRY_EVENTS, entryRow, firstWord, newEntry, setEntry } from './embedded-entry.js';
import { corrupt, TABLES } from './embedded-file.js';
import type { Row } from './page.js';

export const OLD_VERSION = 1;

/** Valid in format 2 as well, where no index helps it: a file that is migrated under a reader is never read wrongly. */
export function prepareOldStream(db: Database.Database): (stream: string, fromPosition: number) => IterableIterator<Row> {
  const find = db.prepare<[string, number], Row>(
    `SELECT cursor, position, crc, event FROM events
     WHERE stream = (SELECT id FROM streams WHERE name = ?) AND position >= ? ORDER BY position`);
  return (stream, fromPosition) => find.iterate(stream, fromPosition);
}

/**
 * In one transaction: a process that is killed in the middle, or a full disk, leaves the file as it was. Needs room for the events
 * once more, in the write-ahead log and in the file, whose pages of before are used again. Cursors stay what they are, so that tails go on.
 */
export function migrate(db: Database.Database, file: string): void {
  db.transaction(() => {
    db.exec('ALTER TABLE events RENAME TO events_1');
    db.exec(TABLES);
    db.exec(`INSERT INTO events SELECT cursor, stream, position, id, crc, coalesce(
        (SELECT cursor FROM events_1 AS before WHERE before.stream = events_1.stream AND before.position = events_1.position - 1), 0
      ), event FROM events_1 ORDER BY cursor`);
    const streams = db.prepare<[number], number>('SELECT id FROM streams WHERE id > ? ORDER BY id LIMIT 1000').pluck();
    const index = prepareStreamIndex(db, file);
    for (let page = streams.all(0); page.length > 0; page = streams.all(page[page.length - 1]!)) page.forEach(index);
    db.exec('DROP TABLE events_1');
  }).exclusive();
}

interface Place {
  readonly cursor: number;
  readonly position: number;
  readonly id: Uint8Array;
}

function prepareStreamIndex(db: Database.Database, file: string): (stream: number) => void {
  const find = db.prepare<[number, number], Place>(
    `SELECT cursor, position, id FROM events_1 WHERE stream = ? AND position >= ? ORDER BY position LIMIT ${ENTRY_EVENTS}`);
  const addEntry = db.prepare('INSERT INTO entries(stream, first, crc, body) VALUES (?, ?, ?, ?)');
  const addHead = db.prepare('INSERT INTO heads(stream, last, count) VALUES (?, ?, ?)');
  return (stream) => {
    let [last, count, full] = [0, 0, true];
    while (full) {
      const [places, entry, first] = [find.all(stream, count), newEntry(), count];
      for (const { cursor, position, id } of places) {
        if (position !== count) throw corrupt(file, `position ${count} of stream ${stream} is missing`);
        setEntry(entry, count - first, cursor, firstWord(id));
        last = cursor;
        count += 1;
      }
      full = places.length === ENTRY_EVENTS;
      const { crc, body } = entryRow(entry, first);
      if (full) addEntry.run(stream, first, crc, body);
    }
    if (count > 0) addHead.run(stream, last, count);
  };
}
