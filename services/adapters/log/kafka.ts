/**
 * The log in Kafka: one topic a run, any number of writing processes, each with a local index that it reads from.
 * Topics, acknowledgement, the index and what each promises: docs/decisions/kafka-log.md.
 */
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { StemmaError } from '../../../core/errors.js';
import type { EventLog, RunLogs } from '../../../core/ports.js';
import { assertRunId } from '../../runtime/run-id.js';
import { connectKafka, type KafkaClient, type KafkaConnection } from './kafka-client.js';
import { openKafkaIndex, removeKafkaIndex } from './kafka-index.js';
import { KafkaLog } from './kafka-log.js';
import { kafkaRegistry, type KafkaRegistry, type RegisteredRun } from './kafka-registry.js';
import { createRunHandles } from './run-handles.js';

/** Frozen when a run is created: the partition of a stream is a function of it. */
const PARTITIONS = 8;
/** A broker that has just started, or was not there when the topic was made, may not know it yet. */
const APPEARS_WITHIN_MS = 3_000;
const LOOK_AGAIN_MS = 100;

export interface KafkaOptions extends KafkaConnection {
  /** One SQLite file a run. May be shared by processes; deleted, it is built again. */
  readonly indexDirectory: string;
  /** Topics are `<namespace>.runs` and `<namespace>.run.<run>`. Default: stemma. */
  readonly namespace?: string;
  /** Of runs that are created. Default: 8. */
  readonly partitions?: number;
}

export type KafkaRunLogs = RunLogs & {
  /** The run's topic and index go; NOT_FOUND if there is none. Nobody may have it open. */
  remove(run: string): Promise<void>;
  close(): Promise<void>;
};

interface Context {
  readonly options: KafkaOptions;
  readonly client: KafkaClient;
  readonly registry: KafkaRegistry;
  topicOf(run: string): string;
  indexOf(run: string): string;
}

/** UNAVAILABLE where no broker answers. */
export async function openKafkaLogs(options: KafkaOptions): Promise<KafkaRunLogs> {
  const namespace = options.namespace ?? 'stemma';
  const client = await connectKafka(options);
  const context: Context = {
    options, client, registry: kafkaRegistry(client, `${namespace}.runs`),
    topicOf: (run) => `${namespace}.run.${run}`,
    indexOf: (run) => join(resolve(options.indexDirectory), `${run}.sqlite`),
  };
  const handles = createRunHandles();
  return {
    async open(run, mode) {
      assertRunId(run, 'log');
      const known = await registered(context, run, mode);
      // One index and one reader for both: Kafka has no writer to exclude.
      const log = await handles.open(run, () => openLog(context, run, known));
      return mode === 'write' ? log : readOnly(log, run);
    },
    list: async () => [...(await context.registry.runs()).keys()].reverse(),
    remove: (run) => remove(context, assertRunId(run, 'log')),
    close: () => handles.close(),
  };
}

/** Topic first, fact second: a fact without a topic then means that the topic was deleted. */
async function registered({ registry, client, topicOf, options }: Context, run: string, mode: 'write' | 'read'): Promise<RegisteredRun> {
  const known = (await registry.runs()).get(run);
  if (known) return known;
  if (mode === 'read') throw missing(run);
  await client.createTopic({ topic: topicOf(run), partitions: options.partitions ?? PARTITIONS });
  const partitions = await client.partitions(topicOf(run));
  await registry.record({ kind: 'created', run, partitions: partitions ?? options.partitions ?? PARTITIONS });
  return (await registry.runs()).get(run) ?? Promise.reject(missing(run));
}

async function openLog({ client, registry, topicOf, indexOf }: Context, run: string, { partitions, incarnation }: RegisteredRun): Promise<KafkaLog> {
  const topic = topicOf(run);
  const found = await partitionsOnceThere(client, topic);
  if (found === null) {
    throw new StemmaError('log', 'NOT_FOUND', `the topic ${topic} of run ${run} was deleted`, 'Its events are gone from Kafka; start a new run.');
  }
  if (found !== partitions) {
    throw new StemmaError('log', 'CORRUPT', `${topic} has ${found} partitions and was created with ${partitions}: streams are no longer where they were`, 'Partitions of a run must not be added; start a new run.');
  }
  return new KafkaLog({
    topic, partitions, client, index: openKafkaIndex(indexOf(run), { topic, incarnation, partitions }),
    onEnd: () => registry.record({ kind: 'finished', run }),
  });
}

async function partitionsOnceThere(client: KafkaClient, topic: string): Promise<number | null> {
  for (const giveUpAt = performance.now() + APPEARS_WITHIN_MS; ;) {
    const partitions = await client.partitions(topic);
    if (partitions !== null || performance.now() > giveUpAt) return partitions;
    await delay(LOOK_AGAIN_MS);
  }
}

async function remove({ registry, client, topicOf, indexOf }: Context, run: string): Promise<void> {
  if (!(await registry.runs()).has(run)) throw missing(run);
  await client.deleteTopic(topicOf(run));
  await registry.record({ kind: 'deleted', run });
  removeKafkaIndex(indexOf(run));
}

function readOnly(log: EventLog, run: string): EventLog {
  return {
    ...log,
    append: () => Promise.reject(new StemmaError('log', 'INVALID', `run ${run} was opened for reading`, 'Open the run for writing.')),
  };
}

function missing(run: string): StemmaError {
  return new StemmaError('log', 'NOT_FOUND', `there is no run ${run} in Kafka`, 'List the runs with: stemma status.');
}
