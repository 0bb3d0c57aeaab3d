/** The embedded log's contract, over a real broker. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { openKafkaLogs } from '../../services/adapters/log/kafka.js';
import { describeWithKafka, openRealKafka, type RealKafka } from '../support/real-kafka.js';
import { eventLogContract } from './event-log.cases.js';

let kafka: RealKafka;

describeWithKafka('over a broker', () => {
  let harnesses = 0;
  beforeAll(async () => { kafka = await openRealKafka(); });
  afterAll(() => kafka.dispose());

  eventLogContract('kafka', async () => {
    const indexDirectory = await mkdtemp(join(tmpdir(), 'stemma-index-'));
    const namespace = `t${(harnesses += 1)}`;
    return {
      open: () => openKafkaLogs({ brokers: kafka.brokers, indexDirectory, namespace }),
      dispose: () => rm(indexDirectory, { recursive: true, force: true }),
    };
  });
});
