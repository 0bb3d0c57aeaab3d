// node test/support/kafka-bench.mjs [BROKER]: the Kafka log beside bare kafkajs, in one process, taking turns, with the same
// encoded events, batches and acknowledgement. Prints ratios; without an address it starts a broker of its own.
// Append: until acknowledged. Consume: until delivered. What the index costs is printed apart.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kafka, logLevel, Partitioners } from 'kafkajs';
import { KafkaAppender } from '../../dist/services/adapters/log/kafka-appender.js';
import { connectKafka } from '../../dist/services/adapters/log/kafka-client.js';
import { openKafkaIndex } from '../../dist/services/adapters/log/kafka-index.js';
import { openKafkaLogs } from '../../dist/services/adapters/log/kafka.js';
import { readConfig } from '../../dist/services/runtime/config.js';
import { startKafka } from '../../dist/services/runtime/kafka-process.js';
import { newEvent } from '../../dist/services/runtime/new-event.js';
import { Event } from '../../dist/proto/gen/stemma/v1/events.js';

const BATCH = 500;
/** 60 MB a round and side: a few fetches more or less in the first delivery do not decide. */
const BATCHES = 440;
const WHOLE_BATCHES = 60;
const ROUNDS = 3;
const PARTITIONS = 8;
const STREAMS = 64;

const directory = mkdtempSync(join(tmpdir(), 'stemma-bench-'));
const own = process.argv[2] === undefined ? await startOwn() : null;
const brokers = own?.brokers ?? [process.argv[2]];
const client = await connectKafka({ brokers });
const name = `bench-${process.pid}`;
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

async function startOwn() {
  const { java, kafka } = readConfig().tools;
  return startKafka({ java, libraries: kafka, directory: join(directory, 'broker') });
}

/** Events of about 300 bytes; unique, so that no index drops them. */
function eventsOf(round, batch) {
  return Array.from({ length: BATCH }, (_, at) => newEvent({ stream: `episode/r/e${at % STREAMS}`, run: 'r', claim: `${round}-${batch}`, seq: at + 1 }, {
    $case: 'turnSampled', value: { attempt: 1, turn: at, tokens: new Uint8Array(40), logprobs: new Uint8Array(40), weightsHash: 'w'.repeat(64), finish: 'stop' },
  }));
}

/** Who goes first changes with the round. */
const inTurn = (round, a, b) => (round % 2 === 0 ? [a, b] : [b, a]);

async function timed(batches, work) {
  const startedAt = performance.now();
  await work();
  return (BATCH * batches.length) / ((performance.now() - startedAt) / 1000);
}

/** Events a second after the first delivery: joining a group is no throughput, and neither is what came with the first fetch. */
function meter(count) {
  let seen = 0;
  let first = 0;
  let startedAt = 0;
  return {
    delivered(events) {
      seen += events;
      first ||= seen;
      startedAt ||= performance.now();
    },
    isDone: () => seen >= count,
    rate: () => (seen - first) / ((performance.now() - startedAt) / 1000),
  };
}

/** As many batches under way as callers wait for: the appender sends one after another, and so does bare kafkajs. */
async function bareAppend(topic, batches) {
  const producer = new Kafka({ clientId: 'bare', brokers, logLevel: logLevel.NOTHING })
    .producer({ idempotent: true, maxInFlightRequests: 1, allowAutoTopicCreation: false, createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
  const rate = await timed(batches, async () => {
    for (const events of batches) {
      const messages = events.map((event) => ({ key: event.stream, value: Buffer.from(Event.encode(event).finish()) }));
      await producer.sendBatch({ acks: -1, topicMessages: [{ topic, messages }] });
    }
  });
  await producer.disconnect();
  return rate;
}

async function ourAppend(topic, batches) {
  const appender = new KafkaAppender({ topic, partitions: PARTITIONS, openProducer: () => client.openProducer() });
  await appender.append(eventsOf('warm', 'up').slice(0, 1));
  const rate = await timed(batches, async () => {
    for (const events of batches) await appender.append(events);
  });
  await appender.close();
  return rate;
}

async function bareConsume(topic, count) {
  const consumer = new Kafka({ clientId: 'bare', brokers, logLevel: logLevel.NOTHING }).consumer({ groupId: `${topic}-${Math.random()}`, maxBytesPerPartition: 1024 * 1024, maxBytes: 2 * 1024 * 1024 });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  const metered = meter(count);
  await new Promise((resolve) => {
    void consumer.run({ autoCommit: false, eachBatch: async ({ batch }) => {
      metered.delivered(batch.messages.length);
      if (metered.isDone()) resolve();
    } });
  });
  const rate = metered.rate();
  await consumer.disconnect();
  return rate;
}

async function ourConsume(topic, count, take) {
  const reader = await client.openReader(topic);
  const next = new Map(Array.from({ length: PARTITIONS }, (_, partition) => [partition, 0]));
  const [leader] = [...(await reader.leaders([...next.keys()])).keys()];
  const metered = meter(count);
  while (!metered.isDone()) {
    const fetched = await reader.fetch(leader, next);
    take(fetched);
    for (const [partition, messages] of fetched) next.set(partition, messages.at(-1).offset + 1);
    metered.delivered([...fetched.values()].reduce((sum, messages) => sum + messages.length, 0));
  }
  const rate = metered.rate();
  await reader.close();
  return rate;
}

async function wholeAppend(batches, round) {
  const logs = await openKafkaLogs({ brokers, indexDirectory: join(directory, 'whole'), namespace: name, partitions: PARTITIONS });
  const log = await logs.open(`whole${round}`, 'write');
  await log.append(eventsOf('warm', 'up').slice(0, 1));
  const rate = await timed(batches, () => Promise.all(batches.map((events) => log.append(events))));
  await logs.close();
  return rate;
}

const rates = { bareAppend: [], ourAppend: [], bareConsume: [], ourConsume: [], ourConsumeIndexed: [], wholeAppend: [] };
for (let round = 0; round <= ROUNDS; round += 1) {
  const batches = Array.from({ length: BATCHES }, (_, batch) => eventsOf(round, batch));
  const [bare, ours] = [`${name}-bare-${round}`, `${name}-ours-${round}`];
  for (const topic of [bare, ours]) await client.createTopic({ topic, partitions: PARTITIONS });
  const index = openKafkaIndex(join(directory, `index-${round}.sqlite`), { topic: ours, incarnation: 0, partitions: PARTITIONS });
  const measured = {};
  const steps = [
    ...inTurn(round, async () => { measured.bareAppend = await bareAppend(bare, batches); }, async () => { measured.ourAppend = await ourAppend(ours, batches); }),
    ...inTurn(round, async () => { measured.bareConsume = await bareConsume(bare, BATCH * BATCHES); },
      async () => { measured.ourConsume = await ourConsume(ours, BATCH * BATCHES, () => undefined); }),
    async () => { measured.ourConsumeIndexed = await ourConsume(ours, BATCH * BATCHES, (fetched) => index.commit(fetched)); },
    async () => { measured.wholeAppend = await wholeAppend(batches.slice(0, WHOLE_BATCHES), round); },
  ];
  for (const step of steps) await step();
  index.close();
  // The first round warms up.
  if (round > 0) for (const [what, rate] of Object.entries(measured)) rates[what].push(rate);
}

const rate = (what) => median(rates[what]);
const ratios = (ours, bare) => median(rates[ours].map((value, round) => value / rates[bare][round])).toFixed(2);
const show = (what, text) => console.log(`${what.padEnd(46)} ${text}`);
show(`${BATCH} × ${Event.encode(eventsOf(0, 0)[0]).finish().length} B a batch, ${BATCHES} batches, ${ROUNDS} rounds`, 'events/s (median)');
show('append, bare kafkajs', Math.round(rate('bareAppend')));
show('append, Kafka log until acknowledged', `${Math.round(rate('ourAppend'))}  ratio ${ratios('ourAppend', 'bareAppend')}`);
show('consume, bare kafkajs consumer', Math.round(rate('bareConsume')));
show('consume, Kafka log until delivered', `${Math.round(rate('ourConsume'))}  ratio ${ratios('ourConsume', 'bareConsume')}`);
show('consume into the index', `${Math.round(rate('ourConsumeIndexed'))}  ratio ${ratios('ourConsumeIndexed', 'ourConsume')} of delivery alone`);
show('append whole: acknowledged, indexed, verified', `${Math.round(rate('wholeAppend'))}  ratio ${ratios('wholeAppend', 'ourAppend')} of acknowledgement alone`);
await own?.stop();
rmSync(directory, { recursive: true, force: true });
process.exit(0);
