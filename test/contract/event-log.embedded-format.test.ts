/** The embedded log's file: streams longer than an entry of their index, damage in it, and files of the format before. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EventLog } from '../../core/ports.js';
import { ENTRY_EVENTS } from '../../services/adapters/log/embedded-entry.js';
import { openEmbeddedLogs, type EmbeddedOptions } from '../../services/adapters/log/embedded.js';
import { EPISODE, RUN, turnEvent } from '../support/log-events.js';
import { CLAIM, collect, ids, ofStream, turns } from '../support/log-reading.js';
import { placeRecordedLog, RECORDED_TURNS, writeOldLog } from '../support/old-log.js';
import type { OpenedLogs } from './event-log.cases.js';

const MIGRATE_UNTIL = fileURLToPath(new URL('../support/migrate-until.mjs', import.meta.url));
const OTHER = `episode/${RUN}/e2`;

let directory: string;
let file: string;
const opened: OpenedLogs[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'stemma-log-'));
  file = join(directory, `${RUN}.sqlite`);
});
afterEach(async () => {
  await closeAll();
  rmSync(directory, { recursive: true, force: true });
});

async function open(mode: 'write' | 'read' = 'write', options?: EmbeddedOptions): Promise<EventLog> {
  const logs = await openEmbeddedLogs(directory, options);
  opened.push(logs);
  return logs.open(RUN, mode);
}

async function closeAll(): Promise<void> {
  await Promise.all(opened.splice(0).map((logs) => logs.close()));
}

async function reopen(): Promise<EventLog> {
  await closeAll();
  return open();
}

function sql<T>(text: string): T {
  const db = new Database(file);
  try {
    return db.prepare(text).pluck().get() as T;
  } finally {
    db.close();
  }
}

const formatOfFile = (): number => sql<number>('SELECT user_version FROM pragma_user_version');
const hashOfFile = (): string => createHash('sha256').update(readFileSync(file)).digest('hex');

describe('a stream longer than an entry', () => {
  const SIZES = [1, ENTRY_EVENTS - 1, ENTRY_EVENTS, ENTRY_EVENTS + 1, 3 * ENTRY_EVENTS, 3 * ENTRY_EVENTS + 7];

  it.each(SIZES)('of %i events is read from every position, while another grows beside it and after a reopening', async (size) => {
    let log = await open();
    for (let number = 0; number < size; number += 1) await log.append([turnEvent(EPISODE, CLAIM, number), turnEvent(OTHER, CLAIM, 2 * number), turnEvent(OTHER, CLAIM, 2 * number + 1)]);
    for (let round = 0; round < 2; round += 1) {
      for (let from = 0; from <= size; from += 1) {
        const stored = await log.readStream(EPISODE, from);
        expect(ids(stored)).toEqual(ids(turns(EPISODE, from, size)));
        expect(stored.map(({ position }) => position)).toEqual(Array.from({ length: size - from }, (_, index) => from + index));
      }
      expect(ids(await log.readStream(OTHER))).toEqual(ids(turns(OTHER, 0, 2 * size)));
      log = await reopen();
    }
  });

  // 600 is beyond what is searched as a list.
  it.each([200, 600])('of %i events drops each that is sent again, and refuses an altered one, also after a reopening', async (size) => {
    let log = await open();
    for (let from = 0; from < size; from += 50) await log.append(turns(EPISODE, from, from + 50));
    for (let round = 0; round < 2; round += 1) {
      await log.append(turns(EPISODE, 0, 1));
      await log.append(turns(EPISODE, 0, size));
      for (const number of [0, 31, 32, size - 1]) {
        await expect(log.append([turnEvent(EPISODE, CLAIM, number, 'altered')])).rejects.toMatchObject({ code: 'HASH_MISMATCH' });
      }
      expect(ids(await log.readStream(EPISODE))).toEqual(ids(turns(EPISODE, 0, size)));
      log = await reopen();
    }
    await log.append(turns(EPISODE, size - 1, size + 1));
    expect(ids(await log.readStream(EPISODE))).toEqual(ids(turns(EPISODE, 0, size + 1)));
  });

  it('keeps count when an append that filled an entry is refused', async () => {
    const log = await open();
    await log.append([turnEvent(EPISODE, CLAIM, 0, 'first')]);
    const more = turns(EPISODE, 1, 2 * ENTRY_EVENTS + 5);
    await expect(log.append([...more, turnEvent(EPISODE, CLAIM, 0, 'altered')])).rejects.toMatchObject({ code: 'HASH_MISMATCH' });
    expect(await log.readStream(EPISODE)).toHaveLength(1);
    await log.append(more);
    const expected = [turnEvent(EPISODE, CLAIM, 0, 'first').id, ...ids(more)];
    expect(ids(await log.readStream(EPISODE))).toEqual(expected);
    expect(ids(await (await reopen()).readStream(EPISODE))).toEqual(expected);
  });
});

describe('damage', () => {
  async function writeRun(events = 100): Promise<void> {
    const log = await open();
    await log.append(turns(EPISODE, 0, events));
    await log.append(turns(OTHER, 0, 5));
    await closeAll();
  }

  it.each([
    ['an entry altered', `UPDATE entries SET body = zeroblob(length(body)) WHERE first = 0`, 'position 0'],
    ['an entry lost', 'DELETE FROM entries WHERE first = 32', 'position 32'],
    ['an event of the chain lost', `DELETE FROM events WHERE position = 98`, 'position 98'],
    ['an event that an entry names lost', `DELETE FROM events WHERE position = 40`, 'position 40'],
    ['a link that leads elsewhere', `UPDATE events SET previous = 3 WHERE position = 99`, 'position 98'],
    ['a head that points elsewhere', `UPDATE heads SET last = 4 WHERE count = 100`, 'position 99'],
  ])('of its index is CORRUPT when the stream is read: %s', async (_what, damage, where) => {
    await writeRun();
    new Database(file).exec(damage).close();
    const log = await open('read');
    await expect(log.readStream(EPISODE)).rejects.toMatchObject({ boundary: 'log', code: 'CORRUPT', message: expect.stringContaining(where) });
    expect(await log.readStream(OTHER)).toHaveLength(5);
  });

  it.each([
    ['an entry altered', `UPDATE entries SET body = zeroblob(length(body)) WHERE first = 0`],
    ['an event of the chain lost', `DELETE FROM events WHERE position = 98`],
  ])('of its index is CORRUPT when the stream is appended to: %s', async (_what, damage) => {
    await writeRun();
    new Database(file).exec(damage).close();
    await expect((await open()).append(turns(EPISODE, 100, 101))).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  it('to one byte of an event is noticed by entry and by chain', async () => {
    for (const position of [40, 98]) {
      rmSync(file, { force: true });
      const log = await open();
      await log.append(Array.from({ length: 100 }, (_, number) => turnEvent(EPISODE, CLAIM, number, `note-${number}.`)));
      await closeAll();
      const content = readFileSync(file);
      content.write('x', content.indexOf(`note-${position}.`));
      writeFileSync(file, content);
      await expect((await open('read')).readStream(EPISODE)).rejects.toMatchObject({ code: 'CORRUPT', message: expect.stringContaining('altered') });
      await closeAll();
    }
  });
});

describe('a file of format 1', () => {
  const recorded = { [EPISODE]: ids(turns(EPISODE, 0, RECORDED_TURNS.e1)), [OTHER]: ids(turns(OTHER, 0, RECORDED_TURNS.e2)) };

  async function expectRecorded(log: EventLog): Promise<void> {
    for (const [stream, expected] of Object.entries(recorded)) {
      expect(ids(await log.readStream(stream))).toEqual(expected);
      expect(ids(await log.readStream(stream, 33))).toEqual(expected.slice(33));
    }
  }

  it('is read as it is, and left so', async () => {
    placeRecordedLog(file);
    const log = await open('read');
    await expectRecorded(log);
    expect((await collect(log, '', 240)).events).toHaveLength(240);
    await closeAll();
    expect(formatOfFile()).toBe(1);
  });

  it('is migrated by who writes to it: same streams, same duplicates, and it goes on', async () => {
    placeRecordedLog(file);
    let log = await open();
    expect(formatOfFile()).toBe(2);
    for (let round = 0; round < 2; round += 1) {
      await expectRecorded(log);
      for (const [stream, expected] of Object.entries(recorded)) {
        await log.append(turns(stream, 0, expected.length));
        for (const number of [0, expected.length - 1]) {
          await expect(log.append([turnEvent(stream, CLAIM, number, 'altered')])).rejects.toMatchObject({ code: 'HASH_MISMATCH' });
        }
      }
      log = await reopen();
    }
    await log.append(turns(EPISODE, RECORDED_TURNS.e1, 300));
    expect(ids(await log.readStream(EPISODE))).toEqual(ids(turns(EPISODE, 0, 300)));
    expect(sql('SELECT count(*) FROM sqlite_schema WHERE name LIKE \'events%\'')).toBe(1);
    expect(sql('PRAGMA integrity_check')).toBe('ok');
  });

  it('that is migrated under a reader is read on, and a cursor from before stays good', async () => {
    placeRecordedLog(file);
    const reader = await open('read');
    await expectRecorded(reader);
    const { cursor } = await collect(reader, '', 240);
    const writer = await open();
    await expectRecorded(reader);
    await writer.append(turns(EPISODE, RECORDED_TURNS.e1, 250));
    expect(ids(await reader.readStream(EPISODE))).toEqual(ids(turns(EPISODE, 0, 250)));
    expect(ofStream((await collect(reader, cursor, 50)).events, EPISODE)).toEqual(ids(turns(EPISODE, RECORDED_TURNS.e1, 250)));
  });

  it.each(['CREATE TABLE events', 'INSERT INTO events', 'DROP TABLE'])('whose migration is killed before %s is as it was, and is migrated by the next', async (statement) => {
    const events = turns(EPISODE, 0, 2_000).flatMap((event, number) => [event, turnEvent(`episode/${RUN}/n${number % 300}`, CLAIM, number)]);
    writeOldLog(file, events);
    const { signal } = spawnSync(process.execPath, [MIGRATE_UNTIL, file, statement], { stdio: 'inherit' });
    expect(signal).toBe('SIGKILL');
    if (statement === 'DROP TABLE') expect(statSync(`${file}-wal`).size).toBeGreaterThan(500_000);
    const reader = await open('read');
    expect(ids(await reader.readStream(EPISODE))).toEqual(ids(turns(EPISODE, 0, 2_000)));
    await closeAll();
    expect(formatOfFile()).toBe(1);
    const log = await open();
    expect(formatOfFile()).toBe(2);
    expect(ids(await log.readStream(EPISODE))).toEqual(ids(turns(EPISODE, 0, 2_000)));
    for (let stream = 0; stream < 300; stream += 1) {
      const name = `episode/${RUN}/n${stream}`;
      expect(ids(await log.readStream(name))).toEqual(ids(events.filter((event) => event.stream === name)));
    }
    expect(sql('PRAGMA integrity_check')).toBe('ok');
  });

  it('that has no room to be migrated is DISK_FULL, stays as it was, and is migrated once there is room', async () => {
    writeOldLog(file, turns(EPISODE, 0, 2_000));
    const before = hashOfFile();
    const size = statSync(file).size;
    await expect(open('write', { maxFileBytes: size + 50_000 })).rejects.toMatchObject({ boundary: 'log', code: 'DISK_FULL' });
    await closeAll();
    expect(hashOfFile()).toBe(before);
    expect(ids(await (await open('read')).readStream(EPISODE))).toEqual(ids(turns(EPISODE, 0, 2_000)));
    await closeAll();
    expect(ids(await (await open()).readStream(EPISODE))).toEqual(ids(turns(EPISODE, 0, 2_000)));
    expect(formatOfFile()).toBe(2);
  });

  it('that has lost a row is CORRUPT for who writes, and left as it was', async () => {
    placeRecordedLog(file);
    new Database(file).exec('DELETE FROM events WHERE position = 7').close();
    await expect(open()).rejects.toMatchObject({ code: 'CORRUPT', message: expect.stringContaining('position 7') });
    await closeAll();
    expect(formatOfFile()).toBe(1);
  });
});
