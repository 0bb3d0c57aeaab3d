/**
 * Real Kafka brokers (KRaft, each also a controller) as children of this process: one for use here, three to see replication.
 * One node promises that an acknowledged append survives the death of the broker's process, not a loss of power: Kafka
 * acknowledges from the page cache. Three nodes with min ISR 2 survive the loss of any one of them, disk and all.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { StemmaError } from '../../core/errors.js';
import { superviseChild, type ChildExit, type SupervisedChild } from './child-process.js';
import { freePorts } from './free-port.js';
import { settleAll } from './settle-all.js';

/** As server.properties has them. */
export type KafkaSettings = Readonly<Record<string, string | number | boolean>>;

export interface KafkaSpec {
  readonly java: string;
  /** Directory of Kafka's jar files. */
  readonly libraries: string;
  /** Data, settings and logs of all nodes; the addresses stay the same over restarts. */
  readonly directory: string;
  /** Default 1. */
  readonly nodes?: number;
  /** Of the first node; absent: any free one. Not for a directory that has addresses already. */
  readonly port?: number;
  readonly readyTimeoutMs?: number;
  /** What differs in a node's settings, given those it would have: listeners with TLS and SASL, for one. */
  readonly differing?: (settings: KafkaSettings) => KafkaSettings;
  /** Further arguments of the formatting of its storage: SCRAM users. */
  readonly formatWith?: readonly string[];
  /** Given: a node that ends without having been asked to is started again, for ever, and this hears of it. */
  readonly onDeath?: (exit: ChildExit) => void;
}

export interface KafkaProcess {
  /** host:port of each node. */
  readonly brokers: readonly string[];
  pid(node: number): number;
  /** Of a supervised node: called each time it serves again. */
  onRestart(node: number, listener: () => void): void;
  /** SIGKILL by default; resolves when the process is gone (at once for a signal that does not end it). Nodes count from 0. */
  kill(node: number, signal?: NodeJS.Signals): Promise<void>;
  /** Resolves when it serves again. */
  restart(node: number): Promise<void>;
  stop(): Promise<void>;
}

interface Addresses {
  readonly clusterId: string;
  readonly brokers: readonly number[];
  readonly controllers: readonly number[];
}

const HOST = '127.0.0.1';
const HEAP = ['-Xms192m', '-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];

/** A dead node is noticed in seconds, not in the nine and more of the defaults. */
const SESSION = { 'broker.session.timeout.ms': 3000, 'broker.heartbeat.interval.ms': 500 };
/** After kill -9 a node is refused (DUPLICATE_BROKER_REGISTRATION) until its own old session is over, and a lone one has nobody to be noticed by. */
const LONE_SESSION = { 'broker.session.timeout.ms': 1000, 'broker.heartbeat.interval.ms': 200 };

export async function startKafka(spec: KafkaSpec): Promise<KafkaProcess> {
  mkdirSync(spec.directory, { recursive: true });
  const addresses = await addressesOf(spec);
  const nodes = addresses.brokers.map((_, node) => node);
  for (const node of nodes) mkdirSync(nodeDirectory(spec, node), { recursive: true });
  await Promise.all(nodes.map((node) => format(spec, addresses, node)));
  const children: SupervisedChild[] = [];
  const stop = async (): Promise<void> => { await Promise.all(children.map((child) => child.stop())); };
  try {
    await settleAll(nodes.map(async (node) => { children[node] = await startNode(spec, node); }));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    brokers: addresses.brokers.map((port) => `${HOST}:${port}`),
    pid: (node) => children[node]!.pid(),
    onRestart: (node, listener) => children[node]!.onRestart(listener),
    async kill(node, signal = 'SIGKILL') {
      process.kill(children[node]!.pid(), signal);
      if (signal === 'SIGKILL' || signal === 'SIGTERM') await children[node]!.exited;
    },
    async restart(node) {
      children[node] = await startNode(spec, node);
    },
    stop,
  };
}

/** Chosen once a directory: what clients were told stays true. */
async function addressesOf({ directory, nodes = 1, port }: KafkaSpec): Promise<Addresses> {
  const file = join(directory, 'cluster.json');
  if (existsSync(file)) {
    const known = JSON.parse(readFileSync(file, 'utf8')) as Addresses;
    if (known.brokers.length === nodes) return known;
    throw new StemmaError('setup', 'INVALID', `${directory} holds a cluster of ${known.brokers.length} nodes, not ${nodes}`, 'Ask for as many, or use another directory.');
  }
  const free = await freePorts(2 * nodes);
  const brokers = free.slice(0, nodes).map((any, node) => (node === 0 ? port ?? any : any));
  // Kafka's ids are 16 bytes in URL-safe base 64, not beginning with a dash.
  const clusterId = `S${randomBytes(16).toString('base64url').slice(1, 22)}`;
  const addresses = { clusterId, brokers, controllers: free.slice(nodes) };
  writeFileSync(file, JSON.stringify(addresses));
  return addresses;
}

const nodeDirectory = ({ directory }: KafkaSpec, node: number): string => join(directory, `node-${node}`);
const settingsFile = (spec: KafkaSpec, node: number): string => join(nodeDirectory(spec, node), 'server.properties');

function settingsOf(spec: KafkaSpec, { brokers, controllers }: Addresses, node: number): string {
  const replicas = Math.min(3, brokers.length);
  const inSync = Math.min(2, replicas);
  const settings: KafkaSettings = {
    'process.roles': 'broker,controller', 'node.id': node + 1,
    'controller.quorum.voters': controllers.map((port, at) => `${at + 1}@${HOST}:${port}`).join(','),
    listeners: `PLAINTEXT://${HOST}:${brokers[node]},CONTROLLER://${HOST}:${controllers[node]}`,
    'advertised.listeners': `PLAINTEXT://${HOST}:${brokers[node]}`,
    'inter.broker.listener.name': 'PLAINTEXT', 'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
    'log.dirs': join(nodeDirectory(spec, node), 'data'),
    'auto.create.topics.enable': false, 'default.replication.factor': replicas, 'min.insync.replicas': inSync, 'unclean.leader.election.enable': false,
    'offsets.topic.replication.factor': replicas, 'offsets.topic.num.partitions': 1,
    'transaction.state.log.replication.factor': replicas, 'transaction.state.log.min.isr': inSync, 'transaction.state.log.num.partitions': 1,
    'share.coordinator.state.topic.replication.factor': replicas, 'share.coordinator.state.topic.min.isr': inSync,
    'group.initial.rebalance.delay.ms': 0,
    ...(brokers.length === 1 ? LONE_SESSION : SESSION), 'replica.lag.time.max.ms': 5000,
    'controller.quorum.election.timeout.ms': 500, 'controller.quorum.fetch.timeout.ms': 1000,
    'log.cleaner.enable': false, 'num.network.threads': 2, 'num.io.threads': 4,
  };
  return Object.entries({ ...settings, ...spec.differing?.(settings) }).map(([name, value]) => `${name}=${value}\n`).join('');
}

async function format(spec: KafkaSpec, addresses: Addresses, node: number): Promise<void> {
  writeFileSync(settingsFile(spec, node), settingsOf(spec, addresses, node));
  if (existsSync(join(nodeDirectory(spec, node), 'data', 'meta.properties'))) return;
  let done = false;
  const child = await superviseChild({
    name: 'kafka-storage', boundary: 'setup', restart: false, command: spec.java,
    args: [...HEAP, '-cp', join(spec.libraries, '*'), 'kafka.tools.StorageTool', 'format', '-t', addresses.clusterId, '-c', settingsFile(spec, node), ...(spec.formatWith ?? [])],
    ready: { line: (line) => (done ||= /^Formatting|already formatted/.test(line)) },
  });
  const { code, lastLines } = await child.exited;
  if (code !== 0) throw new StemmaError('setup', 'UNAVAILABLE', `Kafka's storage could not be formatted:\n${lastLines.join('\n')}`, `Look at ${nodeDirectory(spec, node)}.`);
}

function startNode(spec: KafkaSpec, node: number): Promise<SupervisedChild> {
  return superviseChild({
    name: `kafka-${node}`, boundary: 'setup', restart: spec.onDeath === undefined ? false : 'always', onDeath: spec.onDeath, command: spec.java,
    // Its log goes to stdout, where "started" is waited for.
    args: [...HEAP, '-Dorg.slf4j.simpleLogger.logFile=System.out', '-cp', join(spec.libraries, '*'), 'kafka.Kafka', settingsFile(spec, node)],
    ready: { line: (line) => line.includes('Kafka Server started') },
    readyTimeoutMs: spec.readyTimeoutMs ?? 60_000, stopGraceMs: 10_000,
    logFile: join(nodeDirectory(spec, node), 'server.log'),
  });
}
