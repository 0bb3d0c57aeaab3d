/**
 * Real brokers for tests: Java and Kafka's jars are STEMMA_JAVA and STEMMA_KAFKA, else what set-up wrote; without them such
 * tests are skipped by name, and fail under CI=true.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfig } from '../../services/runtime/config.js';
import { startKafka, type KafkaProcess, type KafkaSpec } from '../../services/runtime/kafka-process.js';
import { describeUnlessLacking } from './set-up-part.js';

function tools(): { java: string; kafka: string } | null {
  const { java, kafka } = readConfig().tools;
  return java === '' || kafka === '' ? null : { java, kafka };
}

/** With CI=true it is there, or whoever needs it fails. */
export function hasKafka(): boolean {
  return tools() !== null || process.env['CI'] === 'true';
}

/** A suite that needs brokers. */
export function describeWithKafka(name: string, suite: () => void): void {
  describeUnlessLacking(tools() === null ? 'no Kafka: run `npm run setup -- --only=kafka`, or set STEMMA_JAVA and STEMMA_KAFKA' : '', name, suite);
}

export interface RealKafka extends KafkaProcess {
  readonly directory: string;
  /** Stops the brokers and removes their data. */
  dispose(): Promise<void>;
}

export async function openRealKafka(nodes = 1, more: Pick<KafkaSpec, 'differing' | 'formatWith'> = {}): Promise<RealKafka> {
  const directory = await mkdtemp(join(tmpdir(), 'stemma-kafka-'));
  const { java, kafka } = tools()!;
  const running = await startKafka({ java, libraries: kafka, directory, nodes, ...more });
  return {
    ...running, directory,
    async dispose() {
      await running.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
