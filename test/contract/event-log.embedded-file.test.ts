/** The embedded log on bad files and full disks: one clear message, nothing overwritten, nothing half-written. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openEmbeddedLogs, type EmbeddedOptions } from '../../services/adapters/log/embedded.js';
import { EPISODE, RUN, turnEvent } from '../support/log-events.js';
import { CLAIM, ids, turns } from '../support/log-reading.js';
import { canMount, mountSmallDisk } from '../support/small-disk.js';
import type { OpenedLogs } from './event-log.cases.js';

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

async function openLogs(options?: EmbeddedOptions, at = directory): Promise<OpenedLogs> {
  const logs = await openEmbeddedLogs(at, options);
  opened.push(logs);
  return logs;
}

async function closeAll(): Promise<void> {
  await Promise.all(opened.splice(0).map((logs) => logs.close()));
}

async function writeRun(): Promise<void> {
  const log = await (await openLogs()).open(RUN, 'write');
  await log.append(Array.from({ length: 500 }, (_, number) => turnEvent(EPISODE, CLAIM, number, `note-${number}`)));
  await closeAll();
}

const hashOfFile = (): string => createHash('sha256').update(readFileSync(file)).digest('hex');

function overwrite(offset: number, bytes: Buffer): void {
  const content = readFileSync(file);
  bytes.copy(content, offset);
  writeFileSync(file, content);
}

describe('a damaged file', () => {
  it.each([
    ['is no database', () => writeFileSync(file, 'this is not a database, and longer than a header of one hundred bytes. '.repeat(9))],
    ['was cut', () => truncateSync(file, 3 * 4096)],
    ['has a page of garbage', () => overwrite(2 * 4096, Buffer.alloc(4096, 0xa5))],
    ['is another program\'s database', () => { rmSync(file); new Database(file).exec('CREATE TABLE notes(x)').close(); }],
  ])('that %s is CORRUPT, names itself and is left as it was', async (_what, damage) => {
    await writeRun();
    damage();
    const before = hashOfFile();
    const logs = await openLogs();
    await expect(logs.open(RUN, 'write')).rejects.toMatchObject({
      boundary: 'log', code: 'CORRUPT', message: expect.stringContaining(file), remedy: expect.stringContaining('Move'),
    });
    expect(await logs.list()).toEqual([RUN]);
    await closeAll();
    expect(hashOfFile()).toBe(before);
    // A reader may leave side files, but nothing in them to write into the file.
    expect(readdirSync(directory).filter((name) => name.endsWith('-wal') && statSync(join(directory, name)).size > 0)).toEqual([]);
  });

  it('with one altered byte in an event is CORRUPT when that event is read', async () => {
    await writeRun();
    overwrite(readFileSync(file).indexOf('note-250'), Buffer.from('x'));
    const log = await (await openLogs()).open(RUN, 'read');
    await expect(log.readStream(EPISODE)).rejects.toMatchObject({ code: 'CORRUPT', message: expect.stringContaining(file) });
    expect(await log.readStream(EPISODE, 300)).toHaveLength(200);
  });

  it('with a lost row is CORRUPT when its stream is read', async () => {
    await writeRun();
    new Database(file).exec('DELETE FROM events WHERE position = 7').close();
    const log = await (await openLogs()).open(RUN, 'read');
    await expect(log.readStream(EPISODE)).rejects.toMatchObject({ code: 'CORRUPT', message: expect.stringContaining('position 7') });
  });

  it('of a newer format is UNSUPPORTED', async () => {
    await writeRun();
    new Database(file).exec('PRAGMA user_version = 99').close();
    const logs = await openLogs();
    for (const mode of ['write', 'read'] as const) await expect(logs.open(RUN, mode)).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  });

  it('that was only just created when its writer died is a new log', async () => {
    writeFileSync(file, '');
    const logs = await openLogs();
    await expect(logs.open(RUN, 'read')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await (await logs.open(RUN, 'write')).append(turns(EPISODE, 0, 1));
  });
});

/** Appends batches of 50 events until one fails: how many went in, and why the next did not. */
async function fill(logs: OpenedLogs): Promise<{ written: number; error: unknown }> {
  const log = await logs.open(RUN, 'write');
  for (let written = 0; ; written += 50) {
    try {
      await log.append(turns(EPISODE, written, written + 50));
    } catch (error) {
      return { written, error };
    }
  }
}

describe('a full disk', () => {
  it('refuses the append whole and takes it once there is room', async () => {
    const small = await openLogs({ maxFileBytes: 200_000 });
    const { written, error } = await fill(small);
    expect(error).toMatchObject({ boundary: 'log', code: 'DISK_FULL', message: expect.stringContaining(file) });
    expect(written).toBeGreaterThan(0);
    expect(ids(await (await small.open(RUN, 'read')).readStream(EPISODE))).toEqual(ids(turns(EPISODE, 0, written)));
    await closeAll();
    const log = await (await openLogs()).open(RUN, 'write');
    await log.append(turns(EPISODE, written, written + 50));
    expect(ids(await log.readStream(EPISODE))).toEqual(ids(turns(EPISODE, 0, written + 50)));
  });

  it.skipIf(!canMount())('that is freed lets the same process go on (needs the right to mount)', async () => {
    const disk = mountSmallDisk(1_500);
    try {
      const ballast = join(disk.directory, 'ballast');
      writeFileSync(ballast, Buffer.alloc(600_000));
      const logs = await openLogs(undefined, disk.directory);
      const { written, error } = await fill(logs);
      expect(error).toMatchObject({ code: 'DISK_FULL' });
      rmSync(ballast);
      const log = await logs.open(RUN, 'write');
      await log.append(turns(EPISODE, written, written + 50));
      expect(ids(await log.readStream(EPISODE))).toEqual(ids(turns(EPISODE, 0, written + 50)));
      await closeAll();
      const again = await (await openLogs(undefined, disk.directory)).open(RUN, 'write');
      expect(ids(await again.readStream(EPISODE))).toEqual(ids(turns(EPISODE, 0, written + 50)));
      await closeAll();
    } finally {
      disk.unmount();
    }
  });
});

describe('a commit that many appends share', () => {
  it('leaves out the refused one whole, and numbers on as if it had never come', async () => {
    const log = await (await openLogs()).open(RUN, 'write');
    await log.append([turnEvent(EPISODE, CLAIM, 0, 'first')]);
    const fresh = `episode/${RUN}/fresh`;
    const [first, ...behind] = await Promise.allSettled([
      // In flight while the others gather behind it.
      log.append([turnEvent(EPISODE, CLAIM, 1)]),
      log.append([turnEvent(EPISODE, CLAIM, 2)]),
      log.append([turnEvent(fresh, 'refused', 0), turnEvent(EPISODE, CLAIM, 3), turnEvent(EPISODE, CLAIM, 0, 'altered')]),
      log.append([turnEvent(EPISODE, CLAIM, 4), turnEvent(fresh, CLAIM, 0)]),
    ]);
    expect([first, ...behind].map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
    await log.append([turnEvent(fresh, CLAIM, 1)]);
    expect(ids(await log.readStream(EPISODE))).toEqual([turnEvent(EPISODE, CLAIM, 0, 'first'), ...[1, 2, 4].map((number) => turnEvent(EPISODE, CLAIM, number))].map(({ id }) => id));
    expect(ids(await log.readStream(fresh))).toEqual([0, 1].map((number) => turnEvent(fresh, CLAIM, number).id));
  });

  it('keeps the order of a stream however much waits', async () => {
    const log = await (await openLogs()).open(RUN, 'write');
    const appends = Array.from({ length: 60 }, (_, index) => turns(EPISODE, index * 100, (index + 1) * 100));
    await Promise.all(appends.map((events) => log.append(events)));
    const stored = await log.readStream(EPISODE);
    expect(ids(stored)).toEqual(ids(appends.flat()));
    expect(stored.map(({ position }) => position)).toEqual(stored.map((_, position) => position));
  });
});
