/** Three brokers, replication 3, min ISR 2: what was acknowledged survives the loss of any one of them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { EventLog } from '../../../core/ports.js';
import { connectKafka } from '../../../services/adapters/log/kafka-client.js';
import { partitionOf } from '../../../services/adapters/log/kafka-partition.js';
import { openKafkaLogs, type KafkaRunLogs } from '../../../services/adapters/log/kafka.js';
import { EPISODE, RUN, turnEvent } from '../../support/log-events.js';
import { ids } from '../../support/log-reading.js';
import { describeWithKafka, openRealKafka, type RealKafka } from '../../support/real-kafka.js';

const PARTITIONS = 3;
const STREAMS = [EPISODE, ...Array.from({ length: 5 }, (_, index) => `episode/${RUN}/s${index}`)];

let kafka: RealKafka;
const directories: string[] = [];
const opened: KafkaRunLogs[] = [];

async function openRun(namespace: string, onLog?: (level: string, message: string) => void): Promise<EventLog> {
  const indexDirectory = mkdtempSync(join(tmpdir(), 'stemma-index-'));
  directories.push(indexDirectory);
  const logs = await openKafkaLogs({ brokers: kafka.brokers, indexDirectory, namespace, partitions: PARTITIONS, onLog });
  opened.push(logs);
  return logs.open(RUN, 'write');
}

/** Which node leads the partition of the stream. */
async function leaderOf(namespace: string, stream: string): Promise<number> {
  const reader = await (await connectKafka({ brokers: kafka.brokers })).openReader(`${namespace}.run.${RUN}`);
  const partition = partitionOf(stream, PARTITIONS);
  const [leader] = [...(await reader.leaders([partition])).keys()];
  await reader.close();
  return Number(leader) - 1;
}

interface Writers {
  readonly acknowledged: ReadonlySet<string>;
  /** Resolves after so many more acknowledgements. */
  more(count: number): Promise<void>;
  stop(): Promise<void>;
}

/** One caller a stream, each appending its next turn once the last is acknowledged. */
function keepWriting(log: EventLog): Writers {
  const acknowledged = new Set<string>();
  let stopped = false;
  let onAcknowledged = (): void => undefined;
  const all = Promise.all(STREAMS.map(async (stream) => {
    for (let number = 0; !stopped; number += 1) {
      const event = turnEvent(stream, 'writer', number);
      await log.append([event]);
      acknowledged.add(event.id);
      onAcknowledged();
    }
  }));
  all.catch(() => undefined);
  return {
    acknowledged,
    more(count) {
      const enough = acknowledged.size + count;
      const reached = new Promise<void>((resolve) => { onAcknowledged = () => { if (acknowledged.size >= enough) resolve(); }; });
      return Promise.race([reached, all.then(() => undefined)]);
    },
    async stop() {
      stopped = true;
      await all;
    },
  };
}

describeWithKafka('three brokers', () => {
  beforeAll(async () => { kafka = await openRealKafka(3); });
  afterAll(() => kafka.dispose());
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((logs) => logs.close()));
    for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
  });

  it('lose nothing acknowledged when the leader is killed, again and again, and writers go on', async () => {
    const writers = keepWriting(await openRun('kill'));
    await writers.more(50);
    for (let round = 0; round < 2; round += 1) {
      const leader = await leaderOf('kill', EPISODE);
      await kafka.kill(leader);
      await writers.more(50);
      await kafka.restart(leader);
      await writers.more(20);
    }
    await writers.stop();
    const [one, other] = [await openRun('kill'), await openRun('kill')];
    const found = new Set<string>();
    for (const stream of STREAMS) {
      const read = await one.readStream(stream);
      expect(ids(await other.readStream(stream))).toEqual(ids(read));
      expect(ids(read)).toEqual(read.map((_, number) => turnEvent(stream, 'writer', number).id));
      for (const id of ids(read)) found.add(id);
    }
    expect([...writers.acknowledged].filter((id) => !found.has(id))).toEqual([]);
  });

  it('of which one is left acknowledge nothing until a second is back', async () => {
    let refused = (): void => undefined;
    const refusal = new Promise<void>((resolve) => { refused = resolve; });
    const log = await openRun('isr', (_, message) => { if (/in-sync replicas|timed out|did not acknowledge/i.test(message)) refused(); });
    await log.append([turnEvent(EPISODE, 'writer', 0)]);
    const leader = await leaderOf('isr', EPISODE);
    const [second, third] = [0, 1, 2].filter((node) => node !== leader) as [number, number];
    await Promise.all([kafka.kill(second), kafka.kill(third)]);
    let acknowledged = false;
    const append = log.append([turnEvent(EPISODE, 'writer', 1)]).then(() => { acknowledged = true; });
    await refusal;
    expect(acknowledged).toBe(false);
    await kafka.restart(second);
    await append;
    await kafka.restart(third);
    expect(ids(await (await openRun('isr')).readStream(EPISODE))).toEqual([0, 1].map((number) => turnEvent(EPISODE, 'writer', number).id));
  });
});
