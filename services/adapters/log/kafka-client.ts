/**
 * The only importer of kafkajs: connections, topics, one producer, one reader. What fails here fails with a StemmaError of the log.
 *
 * Reading uses kafkajs's Cluster and not its consumer: a consumer joins a group, whose coordinator, heartbeats and rebalances
 * have nothing to say here, for every process reads every partition at offsets of its own.
 */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { Kafka, logLevel, Partitioners, type Admin, type ISocketFactory, type KafkaConfig, type Producer, type SASLOptions } from 'kafkajs';
import Cluster from 'kafkajs/src/cluster/index.js';
import { kafkaError } from './kafka-errors.js';

const CONNECT_TIMEOUT_MS = 3_000;
/** Within this a broker answers, or its connection is given up; a long poll waits less than half of it. */
const REQUEST_TIMEOUT_MS = 10_000;
/** How long a broker may wait for its replicas before it refuses an append. */
const ACKS_TIMEOUT_MS = 8_000;
const LOOK_AGAIN_MS = 20;
const LONG_POLL_MS = 1_000;
const METADATA_MAX_AGE_MS = 30_000;
/** Also bounds how long one fetch keeps this thread when it is indexed. */
const FETCH_BYTES = 2 * 1024 * 1024;
const PARTITION_FETCH_BYTES = 1024 * 1024;
const KEEP_ALIVE_MS = 60_000;
const HANG_UP = 'closed by us';
const NO_REPLICA = -1;
const READ_UNCOMMITTED = 0;
const RETRY = { initialRetryTime: 100, maxRetryTime: 1_000, retries: 2 };

export interface KafkaConnection {
  /** host:port, any of the cluster's. */
  readonly brokers: readonly string[];
  /** Absent: plain text. */
  readonly tls?: ConnectionOptions;
  readonly sasl?: { readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'; readonly username: string; readonly password: string };
  /** Sees what kafkajs says; its retries and reconnections are no errors of ours. */
  readonly onLog?: (level: string, message: string) => void;
}

export interface OutMessage {
  readonly partition: number;
  readonly key: string;
  readonly value: Uint8Array;
}

export interface InMessage {
  readonly offset: number;
  readonly value: Uint8Array;
}

export interface KafkaProducer {
  /** Acknowledged by all in-sync replicas. Offset of each partition's first message; a partition's messages follow each other. */
  send(topic: string, messages: readonly OutMessage[]): Promise<ReadonlyMap<number, number>>;
  close(): Promise<void>;
}

export interface KafkaReader {
  /** Leader → its partitions. */
  leaders(partitions: readonly number[]): Promise<ReadonlyMap<string, readonly number[]>>;
  /** Messages of a leader's partitions from the offsets on; waits a second for one to come. */
  fetch(leader: string, from: ReadonlyMap<number, number>): Promise<ReadonlyMap<number, readonly InMessage[]>>;
  /** Where the partition ends: behind everything that was acknowledged before the call. */
  end(partition: number): Promise<number>;
  close(): Promise<void>;
}

export interface TopicSpec {
  readonly topic: string;
  readonly partitions: number;
}

export interface KafkaClient {
  /** Number of partitions; null where there is no such topic. */
  partitions(topic: string): Promise<number | null>;
  /** No error if it is there already. */
  createTopic(spec: TopicSpec): Promise<void>;
  /** No error if it is not there. */
  deleteTopic(topic: string): Promise<void>;
  openProducer(): Promise<KafkaProducer>;
  openReader(topic: string): Promise<KafkaReader>;
}

/** UNAVAILABLE where no broker answers. */
export async function connectKafka(connection: KafkaConnection): Promise<KafkaClient> {
  const asked = <T>(what: Promise<T>): Promise<T> => what.catch((error: unknown) => { throw kafkaError(error, connection.brokers); });
  const withAdmin = <T>(work: (admin: Admin) => Promise<T>): Promise<T> => asked(briefly(connection, work));
  await withAdmin((admin) => admin.describeCluster());
  return {
    partitions: (topic) => withAdmin((admin) => partitionsOf(admin, topic)),
    createTopic: (spec) => withAdmin((admin) => createTopic(admin, spec)),
    deleteTopic: (topic) => withAdmin((admin) => admin.deleteTopics({ topics: [topic] }).catch((error: unknown) => {
      if (!isUnknownTopic(error)) throw error;
    })),
    openProducer: () => asked(openProducer(connection)),
    openReader: (topic) => asked(openReader(connection, topic)),
  };
}

/** A fresh admin for each piece of work: they are rare, and kafkajs keeps connections to brokers that are no longer there. */
async function briefly<T>(connection: KafkaConnection, work: (admin: Admin) => Promise<T>): Promise<T> {
  const { kafka, hangUp } = newKafka(connection);
  const admin = kafka.admin({ retry: RETRY });
  try {
    await admin.connect();
    return await work(admin);
  } finally {
    hangUp();
    await admin.disconnect().catch(() => undefined);
  }
}

/** null also while a partition has no leader yet. */
async function partitionsOf(admin: Admin, topic: string): Promise<number | null> {
  try {
    const { topics: [found] } = await admin.fetchTopicMetadata({ topics: [topic] });
    return found && found.partitions.every(({ leader }) => leader >= 0) ? found.partitions.length : null;
  } catch (error) {
    if (isUnknownTopic(error)) return null;
    throw error;
  }
}

async function createTopic(admin: Admin, spec: TopicSpec): Promise<void> {
  const { brokers } = await admin.describeCluster();
  await admin.createTopics({ waitForLeaders: false, topics: [topicOf(spec, brokers.length)] });
  // kafkajs's own waiting gives up when the broker it asks has not heard of the topic yet.
  const giveUpAt = performance.now() + REQUEST_TIMEOUT_MS;
  while ((await partitionsOf(admin, spec.topic)) === null) {
    if (performance.now() > giveUpAt) throw new Error(`topic ${spec.topic} was created and has no leader`);
    await delay(LOOK_AGAIN_MS);
  }
}

interface OwnKafka {
  readonly kafka: Kafka;
  readonly config: KafkaConfig & { readonly brokers: string[]; readonly socketFactory: ISocketFactory };
  /** Ends its connections at once: what waits for an answer fails. kafkajs itself would wait for the answers, long polls included. */
  hangUp(): void;
}

/** With connections of its own, so that one that is stuck holds up nobody else and can be thrown away. */
function newKafka({ brokers, tls, sasl, onLog }: KafkaConnection): OwnKafka {
  const sockets = new Set<Socket>();
  const config = {
    clientId: 'stemma', brokers: [...brokers], ssl: tls, sasl: sasl as SASLOptions | undefined,
    connectionTimeout: CONNECT_TIMEOUT_MS, authenticationTimeout: REQUEST_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS, enforceRequestTimeout: true, retry: RETRY,
    logLevel: onLog ? logLevel.WARN : logLevel.NOTHING,
    logCreator: (() => ({ namespace, label, log }) => { if (!log.message.includes(HANG_UP)) onLog?.(label.toLowerCase(), `${namespace}: ${log.message}`); }) satisfies KafkaConfig['logCreator'],
    socketFactory: (({ host, port, ssl, onConnect }) => {
      const socket = ssl ? connectTls({ host, port, ...(isIP(host) ? {} : { servername: host }), ...ssl }, onConnect) : connectTcp({ host, port }, onConnect);
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      socket.setKeepAlive(true, KEEP_ALIVE_MS);
      // A request is one write and should leave at once.
      return socket.setNoDelay(true);
    }) satisfies ISocketFactory,
  };
  return {
    kafka: new Kafka(config), config,
    hangUp() {
      for (const socket of sockets) socket.destroy(new Error(HANG_UP));
    },
  };
}

function isUnknownTopic(error: unknown): boolean {
  const all = error as { type?: string; errors?: { type?: string }[] };
  return all.type === 'UNKNOWN_TOPIC_OR_PARTITION' || all.errors?.every(({ type }) => type === 'UNKNOWN_TOPIC_OR_PARTITION') === true;
}

/** Reasons: docs/decisions/kafka-log.md. */
function topicOf({ topic, partitions }: TopicSpec, brokers: number): { topic: string; numPartitions: number; replicationFactor: number; configEntries: { name: string; value: string }[] } {
  const replicationFactor = Math.min(3, brokers);
  const settings = {
    'cleanup.policy': 'delete', 'retention.ms': '-1', 'retention.bytes': '-1',
    'min.insync.replicas': String(Math.min(2, replicationFactor)), 'unclean.leader.election.enable': 'false',
  };
  return { topic, numPartitions: partitions, replicationFactor, configEntries: Object.entries(settings).map(([name, value]) => ({ name, value })) };
}

/**
 * One call at a time: kafkajs gives a retried batch and the one behind it the same sequence numbers when both are in flight,
 * and the broker then drops the second as a copy. After a failed call it must not be used again.
 */
async function openProducer(connection: KafkaConnection): Promise<KafkaProducer> {
  const { kafka, hangUp } = newKafka(connection);
  const producer: Producer = kafka.producer({
    idempotent: true, maxInFlightRequests: 1, allowAutoTopicCreation: false, metadataMaxAge: METADATA_MAX_AGE_MS,
    createPartitioner: Partitioners.DefaultPartitioner, retry: { ...RETRY, retries: 1 },
  });
  const close = async (): Promise<void> => {
    hangUp();
    await producer.disconnect().catch(() => undefined);
  };
  await producer.connect().catch(async (error: unknown) => {
    await close();
    throw error;
  });
  return {
    close,
    async send(topic, messages) {
      const results = await producer.sendBatch({
        acks: -1, timeout: ACKS_TIMEOUT_MS,
        topicMessages: [{ topic, messages: messages.map(({ partition, key, value }) => ({ partition, key, value: Buffer.from(value.buffer, value.byteOffset, value.byteLength) })) }],
      });
      const first = new Map(results.map(({ partition, baseOffset }) => [partition, Number(baseOffset)]));
      // When a leader moves during kafkajs's own retry to a broker that has answered already, it forgets to send that partition and reports success.
      for (const { partition } of messages) if (!(first.get(partition)! >= 0)) throw new Error(`partition ${partition} was not acknowledged`);
      return first;
    },
  };
}

async function openReader(connection: KafkaConnection, topic: string): Promise<KafkaReader> {
  const { kafka, config, hangUp } = newKafka(connection);
  const cluster = new Cluster({
    ...config, logger: kafka.logger(), metadataMaxAge: METADATA_MAX_AGE_MS, allowAutoTopicCreation: false, isolationLevel: READ_UNCOMMITTED,
  });
  const close = async (): Promise<void> => {
    hangUp();
    await cluster.disconnect().catch(() => undefined);
  };
  try {
    await cluster.connect();
    await cluster.addTargetTopic(topic);
  } catch (error) {
    await close();
    throw error;
  }
  const asked = <T>(what: Promise<T>): Promise<T> => what.catch((error: unknown) => { throw kafkaError(error, config.brokers); });
  return {
    leaders: (partitions) => asked(Promise.resolve().then(() => new Map(Object.entries(cluster.findLeaderForPartitions(topic, partitions))))),
    fetch: (leader, from) => asked(fetchFrom(cluster, topic, leader, from)),
    end: (partition) => asked(endOf(cluster, topic, partition)),
    close,
  };
}

async function fetchFrom(cluster: Cluster, topic: string, leader: string, from: ReadonlyMap<number, number>): Promise<Map<number, InMessage[]>> {
  const broker = await cluster.findBroker({ nodeId: leader });
  const { responses } = await broker.fetch({
    replicaId: NO_REPLICA, isolationLevel: READ_UNCOMMITTED, maxWaitTime: LONG_POLL_MS, minBytes: 1, maxBytes: FETCH_BYTES,
    topics: [{ topic, partitions: [...from].map(([partition, offset]) => ({ partition, fetchOffset: String(offset), maxBytes: PARTITION_FETCH_BYTES })) }],
  });
  const found = new Map<number, InMessage[]>();
  for (const { partition, messages } of responses.flatMap(({ partitions }) => partitions)) {
    // A batch comes whole, also with what lies before the offset asked for.
    const due = messages.map(({ offset, value }) => ({ offset: Number(offset), value: value ?? new Uint8Array() })).filter(({ offset }) => offset >= from.get(partition)!);
    if (due.length > 0) found.set(partition, due);
  }
  return found;
}

/**
 * The high watermark. A broker acknowledges with acks=all once that has passed the append, and a new leader that does not
 * know it yet refuses to say (LEADER_NOT_AVAILABLE), so that it never lies before something acknowledged.
 */
async function endOf(cluster: Cluster, topic: string, partition: number): Promise<number> {
  const [found] = await cluster.fetchTopicsOffset([{ topic, partitions: [{ partition }], fromBeginning: false }]);
  const offset = Number(found?.partitions[0]?.offset ?? -1);
  if (!(offset >= 0)) throw new Error(`the end of partition ${partition} of ${topic} is not known`);
  return offset;
}
