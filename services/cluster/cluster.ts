/**
 * Distributed mode on one machine: Temporal and every service as a process of its own over a shared log, each started again
 * when it dies. What a person starts with `up --distributed`, and what tests break.
 */
import { join } from 'node:path';
import { StemmaError } from '../../core/errors.js';
import { gatewayClient } from '../gateway/client.js';
import type { Addresses, Cluster, ClusterOptions, ClusterPart } from '../cli/platform.js';
import { ensureLocalKey, readToken } from '../runtime/access/local-key.js';
import { createClosers, type Closers } from '../runtime/closers.js';
import type { Config } from '../runtime/config.js';
import { openDoor } from '../runtime/door-file.js';
import { freePort, freePorts } from '../runtime/free-port.js';
import { takeHome } from '../runtime/home-lock.js';
import { startKafka, type KafkaProcess } from '../runtime/kafka-process.js';
import { serveObserved } from '../runtime/observed.js';
import { PLAIN_CHANNEL } from '../runtime/grpc.js';
import { settleAll } from '../runtime/settle-all.js';
import { channelTo } from '../runtime/tls/credentials.js';
import { dialable } from '../runtime/tls/loopback.js';
import { openTls, type Tls } from '../runtime/tls/tls.js';
import { askOwn } from '../runtime/tls/web.js';
import { startTemporal } from '../runtime/temporal-process.js';
import { startRoleProcess } from './role-process.js';
import type { Role } from '../roles/role.js';

const NO_SECURITY = { tls: false, caFile: '', sasl: 'none', user: '', passwordFile: '' } as const;

export async function openCluster(options: ClusterOptions): Promise<Cluster> {
  const { config, onStart } = options;
  const lock = takeHome(config.home);
  const closers = createClosers();
  closers.add(() => lock.release());
  try {
    ensureLocalKey(config);
    const tls = config.tls.certFile === '' ? null : openTls(config.tls);
    closers.add(() => tls?.close());
    onStart('Temporal');
    const temporal = await startTemporal({
      executable: config.tools.temporal, databaseFile: join(config.home, 'temporal.db'), logFile: join(config.home, 'temporal.log'),
      port: config.ports.temporal || undefined, uiPort: config.ports.temporalUi || undefined,
      onDeath: (exit) => options.onDeath?.('temporal', exit),
    });
    closers.add(() => temporal.stop());
    const broker = config.log.kind === 'kafka' ? undefined : await startBroker(options);
    if (broker) closers.add(() => broker.stop());
    const log = broker ? { kind: 'kafka' as const, brokers: broker.brokers, security: NO_SECURITY } : config.log;
    const scoringPorts = await portsOf(config, options.scorings);
    const shared = await sharedConfig({ ...config, log }, temporal.address, scoringPorts);
    const names = roleNames(scoringPorts, options.rollouts);
    onStart(`${names.length} services`);
    const { health, metrics } = await serveObserved(config, { tls });
    closers.add(() => metrics.close());
    const roles = await startRoles({ ...options, tls, shared }, names, closers);
    for (const role of roles) health.add({ name: role.name, ask: () => assertReady(role.metrics, tls) });
    health.started();
    const http = `http${tls ? 's' : ''}://${dialable(config.listenHost)}:${shared.ports.http}`;
    closers.add(await openDoor(config.home, { gateway: shared.addresses.gateway, http, tls: tls !== null, log: shared.log }));
    const controls = gatewayClient(shared.addresses.gateway, () => readToken(config), tls ? channelTo(tls, shared.addresses.gateway) : PLAIN_CHANNEL);
    closers.add(() => controls.close());
    const addresses: Addresses = { temporalUi: temporal.uiUrl, metrics: [metrics.url, ...roles.map((role) => role.metrics)].join(' '), gateway: shared.addresses.gateway, http };
    const parts: ClusterPart[] = [
      { name: 'temporal', pid: () => temporal.pid(), onRestart: (listener) => temporal.onRestart(listener) },
      ...(broker ? [{ name: 'broker', pid: () => broker.pid(0), onRestart: (listener: () => void) => broker.onRestart(0, listener) }] : []), ...roles,
    ];
    return { config: shared, addresses, parts, submit: (request) => controls.submit(request), control: (fact) => controls.control(fact), close: closers.close };
  } catch (error) {
    await closers.close();
    throw error;
  }
}

/** One node: what it acknowledges survives the death of its process, not a loss of power. */
function startBroker({ config, onStart, onDeath }: ClusterOptions): Promise<KafkaProcess> {
  const { java, kafka } = config.tools;
  if (java === '' || kafka === '') {
    throw new StemmaError('setup', 'NOT_FOUND', 'distributed mode needs a log that several processes write, and there is no Kafka here',
      'Fetch it with `npm run setup -- --only=kafka`, or name a broker that runs elsewhere with --log kafka://host:port.');
  }
  onStart('a Kafka broker');
  return startKafka({ java, libraries: kafka, directory: join(config.home, 'kafka'), onDeath: (exit) => onDeath?.('broker', exit) });
}

interface Named {
  readonly name: string;
  readonly role: Role;
  /** Where it listens as teacher scoring. */
  readonly scoringPort?: number;
}

/** Teacher scoring first: the others call it. */
function roleNames(scoringPorts: readonly number[], rollouts: number): Named[] {
  return [
    ...scoringPorts.map((scoringPort, at) => ({ name: scoringPorts.length === 1 ? 'teacher-scoring' : `teacher-scoring-${at + 1}`, role: 'teacher-scoring' as const, scoringPort })),
    ...(['worker', 'learner', 'distiller', 'gateway'] as const).map((role) => ({ name: role, role })),
    ...Array.from({ length: rollouts }, (_, i) => ({ name: `rollout-${i + 1}`, role: 'rollout' as const })),
  ];
}

/** Addresses are chosen before anyone starts and stay: whoever is restarted is found where it was. */
async function sharedConfig(config: Config, temporal: string, scoringPorts: readonly number[]): Promise<Config> {
  const gateway = await freePort(config.ports.gateway, 'STEMMA_GATEWAY_PORT');
  const http = await freePort(config.ports.http, 'STEMMA_HTTP_PORT');
  return {
    ...config, ports: { ...config.ports, gateway, http },
    // Ours, on loopback and in plain text.
    temporalTls: { on: false, caFile: '' },
    addresses: {
      temporal, sidecar: '', gateway: `${dialable(config.listenHost)}:${gateway}`, scoring: scoringPorts.map((port) => `${dialable(config.listenHost)}:${port}`).join(','),
    },
  };
}

/** The first one is what STEMMA_SCORING_PORT says, where it says one. */
async function portsOf({ ports }: Config, scorings = 1): Promise<number[]> {
  return [await freePort(ports.scoring, 'STEMMA_SCORING_PORT'), ...(await freePorts(scorings - 1))];
}

interface Starting extends ClusterOptions {
  readonly shared: Config;
  readonly tls: Tls | null;
}

async function startRoles(
  { shared, tls, ...options }: Starting, names: readonly Named[], closers: Closers,
): Promise<(ClusterPart & { readonly metrics: string })[]> {
  const failed = new AbortController();
  const stop = AbortSignal.any([failed.signal, ...(options.stop ? [options.stop] : [])]);
  return settleAll(names.map(async ({ name, role, scoringPort = 0 }) => {
    const config = { ...shared, ports: { ...shared.ports, scoring: scoringPort } };
    const process = await startRoleProcess({ name, role, tls, config, onDeath: (exit) => options.onDeath?.(name, exit), onLine: options.onStart, stop })
      .catch((error: unknown) => {
        // Others may wait for long: nobody needs them any more.
        failed.abort(error);
        throw error;
      });
    closers.add(() => process.stop());
    return process;
  })).catch((error: unknown) => { throw failed.signal.reason ?? error; });
}

/** `metrics`: of a service; what it lacks is what we lack. */
async function assertReady(metrics: string, tls: Tls | null): Promise<void> {
  const { ok, text } = await askOwn(new URL('/readyz', metrics).href, { tls, withinMs: 10_000 }).catch(() => { throw new Error('it does not answer'); });
  if (!ok) throw new Error(text.replaceAll('\n', '; '));
}
