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
import { freePort } from '../runtime/free-port.js';
import { takeHome } from '../runtime/home-lock.js';
import { startKafka, type KafkaProcess } from '../runtime/kafka-process.js';
import { serveObserved } from '../runtime/observed.js';
import { settleAll } from '../runtime/settle-all.js';
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
    const shared = await sharedConfig({ ...config, log }, temporal.address);
    const names = roleNames(options.rollouts);
    onStart(`${names.length} services`);
    const { health, metrics } = await serveObserved(config);
    closers.add(() => metrics.close());
    const roles = await startRoles(options, shared, names, closers);
    for (const role of roles) health.add({ name: role.name, ask: () => assertReady(role.metrics) });
    health.started();
    const http = `http://${config.listenHost}:${shared.ports.http}`;
    closers.add(await openDoor(config.home, { gateway: shared.addresses.gateway, http, log: shared.log }));
    const controls = gatewayClient(shared.addresses.gateway, readToken(config));
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
}

/** Teacher scoring first: the others call it. */
function roleNames(rollouts: number): Named[] {
  return [
    ...(['teacher-scoring', 'worker', 'learner', 'distiller', 'gateway'] as const).map((role) => ({ name: role, role })),
    ...Array.from({ length: rollouts }, (_, i) => ({ name: `rollout-${i + 1}`, role: 'rollout' as const })),
  ];
}

/** Addresses are chosen before anyone starts and stay: whoever is restarted is found where it was. */
async function sharedConfig(config: Config, temporal: string): Promise<Config> {
  const gateway = await freePort(config.ports.gateway, 'STEMMA_GATEWAY_PORT');
  const http = await freePort(config.ports.http, 'STEMMA_HTTP_PORT');
  const scoring = await freePort(config.ports.scoring, 'STEMMA_SCORING_PORT');
  return {
    ...config, ports: { ...config.ports, gateway, http, scoring },
    addresses: { temporal, gateway: `${config.listenHost}:${gateway}`, scoring: `${config.listenHost}:${scoring}` },
  };
}

async function startRoles(
  options: ClusterOptions, shared: Config, names: readonly Named[], closers: Closers,
): Promise<(ClusterPart & { readonly metrics: string })[]> {
  return settleAll(names.map(async ({ name, role }) => {
    const process = await startRoleProcess({ name, role, config: shared, onDeath: (exit) => options.onDeath?.(name, exit), onLine: options.onStart });
    closers.add(() => process.stop());
    return process;
  }));
}

/** `metrics`: of a service; what it lacks is what we lack. */
async function assertReady(metrics: string): Promise<void> {
  const answer = await fetch(new URL('/readyz', metrics)).catch(() => { throw new Error('it does not answer'); });
  if (!answer.ok) throw new Error((await answer.text()).trim().replaceAll('\n', '; '));
}
