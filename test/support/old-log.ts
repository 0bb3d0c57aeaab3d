/** Log files of format 1: the one that the version of that time wrote (test/golden/record-log.mjs), and larger ones made after it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32, gunzipSync } from 'node:zlib';
import Database from 'better-sqlite3';
import { Event } from '../../proto/gen/stemma/v1/events.js';

const RECORDED = join(import.meta.dirname, '../golden/logs/format-1.sqlite.gz');
/** What it was recorded with. */
export const RECORDED_TURNS = { e1: 200, e2: 40 } as const;

export function placeRecordedLog(file: string): void {
  writeFileSync(file, gunzipSync(readFileSync(RECORDED)));
}

/** The recorded file, with these events instead of its own. */
export function writeOldLog(file: string, events: readonly Event[]): void {
  placeRecordedLog(file);
  const db = new Database(file);
  const streams = new Map<string, { readonly id: number; next: number }>();
  const add = db.prepare('INSERT INTO events(stream, position, id, crc, event) VALUES (?, ?, ?, ?, ?)');
  const addStream = db.prepare('INSERT INTO streams(name) VALUES (?)');
  db.transaction(() => {
    db.exec('DELETE FROM events; DELETE FROM streams');
    for (const event of events) {
      const stream = streams.get(event.stream) ?? { id: Number(addStream.run(event.stream).lastInsertRowid), next: 0 };
      streams.set(event.stream, stream);
      const bytes = Event.encode(event).finish();
      add.run(stream.id, stream.next, Buffer.from(event.id, 'hex'), crc32(bytes), bytes);
      stream.next += 1;
    }
  })();
  db.close();
}
