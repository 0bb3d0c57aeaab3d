/** Which runs there are: a topic of one partition, `<namespace>.runs`, folded from its start. */
import { StemmaError } from '../../../core/errors.js';
import type { KafkaClient, KafkaReader } from './kafka-client.js';

export type RunFact =
  | { readonly kind: 'created'; readonly run: string; readonly partitions: number }
  | { readonly kind: 'finished' | 'deleted'; readonly run: string };

export interface RegisteredRun {
  /** Offset of the fact that created it: differs when a run of the same name is created again. */
  readonly incarnation: number;
  readonly partitions: number;
  readonly finished: boolean;
}

export interface KafkaRegistry {
  /** All that was registered before the call. In order of creation. */
  runs(): Promise<ReadonlyMap<string, RegisteredRun>>;
  record(fact: RunFact): Promise<void>;
}

export function kafkaRegistry(client: KafkaClient, topic: string): KafkaRegistry {
  return {
    async runs() {
      if ((await client.partitions(topic)) === null) return new Map();
      const reader = await client.openReader(topic);
      try {
        return foldRuns(await readAll(reader, topic));
      } finally {
        await reader.close();
      }
    },
    async record(fact) {
      await client.createTopic({ topic, partitions: 1 });
      const producer = await client.openProducer();
      try {
        await producer.send(topic, [{ partition: 0, key: fact.run, value: Buffer.from(JSON.stringify(fact)) }]);
      } finally {
        await producer.close();
      }
    },
  };
}

/** Of two that create a run at once, the first did. */
function foldRuns(facts: readonly { readonly offset: number; readonly fact: RunFact }[]): Map<string, RegisteredRun> {
  const runs = new Map<string, RegisteredRun>();
  for (const { offset, fact } of facts) {
    const known = runs.get(fact.run);
    if (fact.kind === 'deleted') runs.delete(fact.run);
    else if (fact.kind === 'created') runs.set(fact.run, known ?? { incarnation: offset, partitions: fact.partitions, finished: false });
    else if (known) runs.set(fact.run, { ...known, finished: true });
  }
  return runs;
}

async function readAll(reader: KafkaReader, topic: string): Promise<{ offset: number; fact: RunFact }[]> {
  const end = await reader.end(0);
  const facts: { offset: number; fact: RunFact }[] = [];
  for (let next = 0; next < end;) {
    const [leader] = [...(await reader.leaders([0])).keys()];
    for (const { offset, value } of (await reader.fetch(leader!, new Map([[0, next]]))).get(0) ?? []) {
      facts.push({ offset, fact: parse(value, topic) });
      next = offset + 1;
    }
  }
  return facts;
}

function parse(value: Uint8Array, topic: string): RunFact {
  try {
    const fact = JSON.parse(Buffer.from(value).toString()) as RunFact;
    if (typeof fact.run === 'string' && ['created', 'finished', 'deleted'].includes(fact.kind)) return fact;
  } catch {
    // Said below.
  }
  throw new StemmaError('log', 'CORRUPT', `${topic} holds what is no fact about a run`, 'Something else writes to this topic: stop it, or use another namespace.');
}
