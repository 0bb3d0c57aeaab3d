/** The embedded log's contract over a real broker, and what only a log shared by processes must keep. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTick } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { EventLog } from '../../core/ports.js';
import { connectKafka } from '../../services/adapters/log/kafka-client.js';
import { openKafkaLogs, type KafkaRunLogs } from '../../services/adapters/log/kafka.js';
import { EPISODE, RUN, turnEvent } from '../support/log-events.js';
import { CLAIM, collect, ids, ofStream, turns } from '../support/log-reading.js';
import { describeWithKafka, openRealKafka, type RealKafka } from '../support/real-kafka.js';
import { eventLogContract } from './event-log.cases.js';

/** Enough to reorder; each costs a killed broker time to recover. */
const PARTITIONS = 4;
let kafka: RealKafka;
let namespaces = 0;
let namespace: string;
const directories: string[] = [];
const opened: KafkaRunLogs[] = [];

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'stemma-index-'));
  directories.push(directory);
  return directory;
}

/** As another process would: with connections of its own, and its own index unless one is given. */
async function openLogs(indexDirectory = newDirectory()): Promise<KafkaRunLogs> {
  const logs = await openKafkaLogs({ brokers: kafka.brokers, indexDirectory, namespace, partitions: PARTITIONS });
  opened.push(logs);
  return logs;
}

const openRun = async (indexDirectory?: string): Promise<EventLog> => (await openLogs(indexDirectory)).open(RUN, 'write');
const closeAll = (): Promise<unknown> => Promise.all(opened.splice(0).map((logs) => logs.close()));

/** Streams that lie in different partitions. */
const STREAMS = Array.from({ length: 12 }, (_, index) => `episode/${RUN}/p${index}`);

describeWithKafka('over a broker', () => {
  beforeAll(async () => { kafka = await openRealKafka(); });
  afterAll(() => kafka.dispose());
  beforeEach(() => { namespace = `t${(namespaces += 1)}`; });
  afterEach(async () => {
    await closeAll();
    for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
  });

  // First, while there are few logs for a killed broker to recover.
  describe('a broker', () => {
    it('that is not there is UNAVAILABLE at once', async () => {
      await expect(openKafkaLogs({ brokers: ['127.0.0.1:1'], indexDirectory: newDirectory() })).rejects.toMatchObject({
        boundary: 'log', code: 'UNAVAILABLE', retriable: true, message: expect.stringContaining('127.0.0.1:1'), remedy: expect.stringContaining('npm run kafka'),
      });
    });

    it('that is killed and started again has lost nothing, and what was asked meanwhile is done', async () => {
      const log = await openRun();
      await log.append(turns(EPISODE, 0, 100));
      const tail = collect(log, '', 160);
      const during = Array.from({ length: 50 }, (_, index) => log.append(turns(EPISODE, 100 + index, 101 + index)));
      await kafka.kill(0);
      const meanwhile = [log.append(turns(EPISODE, 150, 160)), log.readStream(EPISODE)] as const;
      await kafka.restart(0);
      await Promise.all([...during, meanwhile[0]]);
      expect((await meanwhile[1]).length).toBeGreaterThanOrEqual(100);
      const expected = ids(turns(EPISODE, 0, 160)).sort();
      expect(ids(await log.readStream(EPISODE)).sort()).toEqual(expected);
      expect(ids((await tail).events).sort()).toEqual(expected);
      expect(ids(await (await openRun()).readStream(EPISODE))).toEqual(ids(await log.readStream(EPISODE)));
      // A broker needs seconds to start, and many on a busy machine.
    }, 120_000);

    it('that hangs for a while and wakes has lost nothing', async () => {
      const log = await openRun();
      await log.append(turns(EPISODE, 0, 1));
      await kafka.kill(0, 'SIGSTOP');
      const asked = [log.append(turns(EPISODE, 1, 2)), log.readStream(EPISODE)] as const;
      // Both are on their way to it.
      for (let ticks = 0; ticks < 50; ticks += 1) await nextTick();
      await kafka.kill(0, 'SIGCONT');
      await Promise.all(asked);
      expect(ids(await log.readStream(EPISODE))).toEqual(ids(turns(EPISODE, 0, 2)));
    });
  });

  eventLogContract('kafka', async () => {
    const [own, indexDirectory] = [`t${(namespaces += 1)}`, newDirectory()];
    return { open: () => openKafkaLogs({ brokers: kafka.brokers, indexDirectory, namespace: own, partitions: PARTITIONS }), dispose: () => Promise.resolve() };
  });

  describe('several writers', () => {
    it.each([['with an index each', undefined], ['that share an index', 'shared']])('%s read one order', async (_, shared) => {
      const directory = shared === undefined ? undefined : newDirectory();
      const writers = await Promise.all(['A', 'B', 'C'].map(async (name) => ({ name, log: await openRun(directory) })));
      await Promise.all(writers.map(async ({ name, log }) => {
        for (let number = 0; number < 20; number += 1) await log.append([turnEvent(EPISODE, name, number), turnEvent(STREAMS[number % 12]!, name, number)]);
      }));
      const reads = await Promise.all(writers.map(({ log }) => log.readStream(EPISODE)));
      expect(reads[0]!.map(({ position }) => position)).toEqual(Array.from({ length: 60 }, (_each, position) => position));
      for (const read of reads.slice(1)) expect(ids(read)).toEqual(ids(reads[0]!));
      for (const { name } of writers) {
        expect(ids(reads[0]!.filter(({ event }) => event.claim === name))).toEqual(Array.from({ length: 20 }, (_each, number) => turnEvent(EPISODE, name, number).id));
      }
    });

    it('see at once what another was told is durable', async () => {
      const [a, b] = [await openRun(), await openRun()];
      for (let number = 0; number < 30; number += 1) {
        await a.append(turns(EPISODE, number, number + 1));
        expect(await b.readStream(EPISODE, number)).toHaveLength(1);
      }
    });

    it('are refused another payload under an id that another wrote, and all keep the first', async () => {
      const [a, b] = [await openRun(), await openRun()];
      const first = turnEvent(EPISODE, CLAIM, 0, 'first');
      await a.append([first]);
      await expect(b.append([turnEvent(EPISODE, CLAIM, 0, 'altered')])).rejects.toMatchObject({ code: 'HASH_MISMATCH' });
      await b.append([first]);
      for (const log of [a, b, await openRun()]) expect((await log.readStream(EPISODE)).map(({ event }) => event.payload)).toEqual([first.payload]);
    });

    it('of which one writes another payload at the same moment: one is told', async () => {
      const logs = [await openRun(), await openRun()];
      const outcomes = await Promise.allSettled(logs.map((log, index) => log.append([turnEvent(EPISODE, CLAIM, 0, `${index}`)])));
      expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      const winner = outcomes.findIndex(({ status }) => status === 'fulfilled');
      for (const log of logs) expect(ids(await log.readStream(EPISODE))).toEqual([turnEvent(EPISODE, CLAIM, 0, `${winner}`).id]);
    });

    it('may create a run at once', async () => {
      const all = await Promise.all(Array.from({ length: 3 }, async () => openLogs()));
      const logs = await Promise.all(all.map((each) => each.open(RUN, 'write')));
      await Promise.all(logs.map((log, index) => log.append([turnEvent(EPISODE, `${index}`, 0)])));
      for (const log of logs) expect(await log.readStream(EPISODE)).toHaveLength(3);
      expect(await all[0]!.list()).toEqual([RUN]);
    });
  });

  describe('the index', () => {
    it('deleted, is built again: same positions, and a cursor from before still loses nothing', async () => {
      const directory = newDirectory();
      const log = await openRun(directory);
      // From many callers, so that this index took the partitions in an order of its own.
      await Promise.all(STREAMS.map((stream) => log.append(turns(stream, 0, 20))));
      const before = await Promise.all(STREAMS.map((stream) => log.readStream(stream)));
      const { cursor } = await collect(log, '', 100);
      const early = await collect(log, '', 1);
      await closeAll();
      rmSync(directory, { recursive: true });
      const again = await openRun(directory);
      expect(await Promise.all(STREAMS.map((stream) => again.readStream(stream)))).toEqual(before);
      await again.append(turns(EPISODE, 0, 1));
      const { events } = await collect(again, early.cursor, 12 * 20 + 1 - early.events.length);
      const seen = new Set([...early.events, ...events].map(({ event }) => event.id));
      expect(seen.size).toBe(12 * 20 + 1);
      expect(ofStream((await collect(again, cursor, 1)).events, EPISODE).length).toBeLessThanOrEqual(1);
    });

    it('damaged, is built again', async () => {
      const directory = newDirectory();
      await (await openRun(directory)).append(turns(EPISODE, 0, 5));
      await closeAll();
      for (const name of readdirSync(directory)) writeFileSync(join(directory, name), 'garbage, and not even a header of a database file'.repeat(9));
      expect(ids(await (await openRun(directory)).readStream(EPISODE))).toEqual(ids(turns(EPISODE, 0, 5)));
    });

    it('of a run that was removed does not show in a new run of that name', async () => {
      const [here, elsewhere] = [newDirectory(), newDirectory()];
      for (const directory of [here, elsewhere]) await (await openRun(directory)).append(turns(EPISODE, 0, 5));
      await closeAll();
      const logs = await openLogs(here);
      await logs.remove(RUN);
      expect(await logs.list()).toEqual([]);
      await expect(logs.open(RUN, 'read')).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await expect(logs.remove(RUN)).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await (await logs.open(RUN, 'write')).append(turns(EPISODE, 7, 8));
      for (const directory of [here, elsewhere]) expect(ids(await (await openRun(directory)).readStream(EPISODE))).toEqual(ids(turns(EPISODE, 7, 8)));
    });
  });

  describe('a topic', () => {
    it('deleted under an open log is NOT_FOUND for reads, appends, tails and whoever opens it', async () => {
      const log = await openRun();
      await log.append(turns(EPISODE, 0, 5));
      const tail = collect(log, '', 6);
      await (await connectKafka({ brokers: kafka.brokers })).deleteTopic(`${namespace}.run.${RUN}`);
      const gone = { boundary: 'log', code: 'NOT_FOUND' };
      const failedTail = expect(tail).rejects.toMatchObject(gone);
      // The controller has deleted it when it says so; the broker may serve it for a moment more.
      await vi.waitFor(() => expect(log.readStream(EPISODE)).rejects.toMatchObject(gone), { timeout: 60_000 });
      await Promise.all([expect(log.append(turns(EPISODE, 5, 6))).rejects.toMatchObject(gone), failedTail]);
      const logs = await openLogs();
      await Promise.all((['read', 'write'] as const).map((mode) => expect(logs.open(RUN, mode)).rejects.toMatchObject(gone)));
    });

    it('into which something else wrote is CORRUPT', async () => {
      const log = await openRun();
      await log.append(turns(EPISODE, 0, 1));
      const producer = await (await connectKafka({ brokers: kafka.brokers })).openProducer();
      await producer.send(`${namespace}.run.${RUN}`, Array.from({ length: PARTITIONS }, (_, partition) => ({ partition, key: 'x', value: Buffer.from('no event') })));
      await producer.close();
      await expect(log.readStream(EPISODE)).rejects.toMatchObject({ code: 'CORRUPT', message: expect.stringContaining('no event') });
    });
  });
});
