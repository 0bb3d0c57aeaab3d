/** The embedded log's promises about processes: one writer, and nothing acknowledged is lost when it is killed. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { foldStream } from '../../core/log/fold.js';
import { openEmbeddedLogs } from '../../services/adapters/log/embedded.js';
import { EPISODE, historyFold, RUN } from '../support/log-events.js';
import { ids, turns } from '../support/log-reading.js';
import type { OpenedLogs } from './event-log.cases.js';

const CHILD = fileURLToPath(new URL('../support/append-until-killed.mjs', import.meta.url));

let directory: string;
const opened: OpenedLogs[] = [];
const children: ChildProcess[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'stemma-log-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await Promise.all(opened.splice(0).map((logs) => logs.close()));
  await rm(directory, { recursive: true, force: true });
});

async function openLogs(): Promise<OpenedLogs> {
  const logs = await openEmbeddedLogs(directory);
  opened.push(logs);
  return logs;
}

interface Appender {
  readonly pid: number;
  /** Resolves when the child has had so many events acknowledged. */
  acknowledged(count: number): Promise<void>;
  /** Ids that the child was told are durable. */
  kill(): Promise<readonly string[]>;
}

async function startAppender(round: number): Promise<Appender> {
  const child = spawn(process.execPath, [CHILD, directory, RUN, `${round}`], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const lines: string[] = [];
  let onLine = (): void => undefined;
  const read = createInterface({ input: child.stdout! });
  read.on('line', (line) => { lines.push(line); onLine(); });
  const ended = once(read, 'close');
  const reached = (count: number) => new Promise<void>((resolve, reject) => {
    onLine = () => { if (lines.length >= count) resolve(); };
    onLine();
    child.once('exit', (code) => reject(new Error(`the appender exited with ${code}`)));
  });
  await reached(1);
  return {
    pid: child.pid!,
    acknowledged: (count) => reached(count + 1),
    async kill() {
      child.removeAllListeners('exit');
      child.kill('SIGKILL');
      await ended;
      // The last line may be cut by the kill; a cut id was not read as acknowledged.
      return lines.slice(1).filter((line) => line.length === 32);
    },
  };
}

describe('a killed writer', () => {
  it('has lost nothing that it was told is durable, three times over', async () => {
    const durable = new Set<string>();
    for (let round = 1; round <= 3; round += 1) {
      const appender = await startAppender(round);
      await appender.acknowledged(400 * round);
      for (const id of await appender.kill()) durable.add(id);
      const logs = await openLogs();
      const log = await logs.open(RUN, 'write');
      const found = new Set<string>();
      for (let caller = 0; caller < 8; caller += 1) {
        const stored = await log.readStream(`episode/${RUN}/caller-${caller}`);
        for (const id of ids(stored)) found.add(id);
        // Each append had two events: both are there or neither. No claim was recorded, so all are zombies; no matter here.
        expect(stored.length % 2).toBe(0);
        expect(foldStream(historyFold, stored).duplicates).toBe(0);
      }
      expect([...durable].filter((id) => !found.has(id))).toEqual([]);
      await logs.close();
    }
    expect(durable.size).toBeGreaterThan(2_000);
  });
});

describe('a second writer', () => {
  it('in this process is refused while the first is open', async () => {
    const first = await openLogs();
    const log = await first.open(RUN, 'write');
    const second = await openLogs();
    await expect(second.open(RUN, 'write')).rejects.toMatchObject({
      boundary: 'log', code: 'LOCKED', retriable: false,
      message: expect.stringContaining(`process ${process.pid}`), remedy: expect.stringContaining('--log kafka://host:port'),
    });
    await log.append(turns(EPISODE, 0, 1));
    const reader = await second.open(RUN, 'read');
    expect(await reader.readStream(EPISODE)).toHaveLength(1);
    await first.close();
    const taken = await second.open(RUN, 'write');
    await taken.append(turns(EPISODE, 1, 2));
    expect(await reader.readStream(EPISODE)).toHaveLength(2);
  });

  it('in another process is refused until the first is dead, and readers follow meanwhile', async () => {
    const appender = await startAppender(1);
    const logs = await openLogs();
    await expect(logs.open(RUN, 'write')).rejects.toMatchObject({ code: 'LOCKED', message: expect.stringContaining(`process ${appender.pid}`) });
    const reader = await logs.open(RUN, 'read');
    const stop = new AbortController();
    let seen = 0;
    for await (const batch of reader.tail('', stop.signal)) {
      seen += batch.events.length;
      if (seen > 200) stop.abort();
    }
    await appender.kill();
    const log = await logs.open(RUN, 'write');
    await log.append(turns(EPISODE, 0, 1));
    expect(await reader.readStream(EPISODE)).toHaveLength(1);
  });
});
