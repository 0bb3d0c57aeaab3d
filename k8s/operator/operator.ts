/** The operator: a candidate for the Lease, and while it leads, mirrors, a queue of runs and teachers, and looks at them. */
import { performance } from 'node:perf_hooks';
import type { KubeConfig } from '@kubernetes/client-node';
import type { Registry } from 'prom-client';
import { StemmaError } from '../../core/errors.js';
import type { Logger } from '../../services/runtime/logger.js';
import { guarded, kubeApi, type KubeApi } from './api.js';
import { Applier } from './applier.js';
import { GatewayKeys } from './gateway-key.js';
import { openQueues } from './kueue.js';
import { operatorHealth, type OperatorState } from './health.js';
import { serviceName } from './desired.js';
import { runForLeader, type Leadership } from './lease.js';
import { openMirror, type Mirror } from './mirror.js';
import { operatorMetrics } from './operator-metrics.js';
import { openOwned } from './owned.js';
import { PORTS, RECIPE_DIRECTORY } from './pod.js';
import { WorkQueue } from './queue.js';
import { ParsedRecipes } from './recipe.js';
import { reconcileRun } from './reconcile.js';
import { keyOf, type Kind, type KubeObject } from './resources.js';
import { guardedGateways, openRunGateways } from './run-gateway.js';
import { reconcileTeacher } from './teachers.js';
import type { Teacher, TrainingRun } from './training-run.js';

export interface OperatorOptions {
  readonly config: KubeConfig;
  readonly logger: Logger;
  readonly registry: Registry;
  /** Unique among operators: the pod's name. */
  readonly identity: string;
  readonly leaseNamespace: string;
  /** Only runs of this namespace; absent: of all. */
  readonly namespace?: string;
  /** The Stemma image of runs that name none. */
  readonly image: string;
  readonly timing?: Partial<Timing>;
  /** Where tests stand in for what only a cluster with nodes has: names of services, mounted files. */
  readonly gatewayAddress?: (run: TrainingRun) => string;
  readonly recipePath?: (run: TrainingRun) => string;
  /** Around every call but those of the Lease. */
  readonly wrapApi?: (api: KubeApi) => KubeApi;
}

export interface Timing {
  readonly leaseMs: number;
  /** Less than `leaseMs` by more than `callMs`. */
  readonly heldMs: number;
  readonly leaseRetryMs: number;
  readonly callMs: number;
  readonly relistSeconds: number;
  readonly lookEveryMs: number;
}

export const TIMING: Timing = { leaseMs: 12_000, heldMs: 6_000, leaseRetryMs: 2_000, callMs: 5_000, relistSeconds: 300, lookEveryMs: 5_000 };

export interface Operator {
  readonly elected: Promise<void>;
  /** Resolves when it leads no more: start anew. */
  readonly lost: Promise<void>;
  /** Of /healthz and /readyz. */
  readonly health: ReturnType<typeof operatorHealth>;
  /** Ends what it does and hands the Lease back. */
  close(): Promise<void>;
}

/** Runs and teachers looked at side by side. */
const WORKERS = 16;

export function startOperator(options: OperatorOptions): Operator {
  const timing = { ...TIMING, ...options.timing };
  const api = kubeApi(options.config, { timeoutMs: timing.callMs });
  const { logger } = options;
  const lease = runForLeader({
    api, namespace: options.leaseNamespace, name: 'stemma-operator', identity: options.identity, durationMs: timing.leaseMs,
    heldMs: timing.heldMs, retryMs: timing.leaseRetryMs, now: () => performance.now(), onTrouble: (error) => logger.warn({ err: error }, 'lease'),
  });
  const ended = new AbortController();
  let reign: { readonly hasListed: () => boolean; close(): Promise<void> } | undefined;
  let leadsSinceMs: number | undefined;
  const state = (): OperatorState => ({ answeredAtMs: lease.answeredAt(), leadsSinceMs, hasListed: reign?.hasListed() ?? false });
  void lease.elected.then(() => {
    if (ended.signal.aborted) return;
    logger.info({ identity: options.identity }, 'leading');
    leadsSinceMs = performance.now();
    reign = lead(options, { timing, api, lease, ended });
  });
  void lease.lost.then(() => ended.abort());
  return {
    elected: lease.elected, lost: lease.lost, health: operatorHealth(state, () => performance.now()),
    async close() {
      ended.abort();
      await reign?.close();
      await lease.close();
      api.close();
    },
  };
}

interface Reign {
  readonly timing: Timing;
  readonly api: KubeApi;
  readonly lease: Leadership;
  readonly ended: AbortController;
}

function lead(options: OperatorOptions, { timing, api: bare, lease, ended }: Reign): { readonly hasListed: () => boolean; close(): Promise<void> } {
  const { logger, namespace, image } = options;
  const metrics = operatorMetrics(options.registry, { depth: () => queue.depth(), leads: () => lease.held() });
  const mayWrite = (): boolean => lease.held() && !ended.signal.aborted;
  const counted = metrics.counted(guarded(bare, mayWrite));
  const api = options.wrapApi?.(counted) ?? counted;
  const openGateways = openRunGateways();
  const applier = new Applier(api);
  const onTrouble = (error: unknown): void => logger.warn({ err: error }, 'the API server: listing everything again');
  const follow = <T extends KubeObject>(kind: Kind, onChange: (object: T) => void): Mirror<T> =>
    openMirror<T>({ api, kind, namespace, relistSeconds: timing.relistSeconds, announcesAll: true, onChange, onTrouble }, ended.signal);

  const runs = follow<TrainingRun>('TrainingRun', (run) => queue.add(`TrainingRun/${keyOf(run)}`));
  const teachers = follow<Teacher>('Teacher', (teacher) => {
    queue.add(`Teacher/${keyOf(teacher)}`);
    for (const run of runs.values()) if (run.spec.teacherPool === teacher.spec.pool) queue.add(`TrainingRun/${keyOf(run)}`);
  });
  const owned = openOwned({ api, namespace, relistSeconds: timing.relistSeconds, onChange: (owner) => queue.add(owner), onTrouble }, ended.signal);
  let listed = false;
  const synced = Promise.all([runs.synced, teachers.synced, owned.synced]).then(() => { listed = true; });
  const deps = {
    api, onEventRefused: (error: Error): void => logger.warn({ err: error }, 'an event is not recorded'), applier, owned, image, operatorNamespace: options.leaseNamespace, keys: new GatewayKeys(api), queues: openQueues(api, () => performance.now()), recipes: new ParsedRecipes(), gateways: guardedGateways(openGateways, mayWrite), teachers: () => teachers.values(),
    gatewayAddress: options.gatewayAddress ?? inClusterAddress, recipePath: options.recipePath ?? (() => `${RECIPE_DIRECTORY}/recipe.yaml`),
    lookEveryMs: timing.lookEveryMs, now: () => Date.now(),
  };
  const queue: WorkQueue = new WorkQueue({
    workers: WORKERS,
    async work(key) {
      await synced;
      const [kind, ...rest] = key.split('/');
      const name = rest.join('/');
      const run = kind === 'TrainingRun' ? runs.get(name) : undefined;
      const teacher = kind === 'Teacher' ? teachers.get(name) : undefined;
      return metrics.timed(kind ?? '', async () => (run ? reconcileRun(deps, run) : teacher ? reconcileTeacher(deps, teacher) : null));
    },
    onFailure(key, error, retryInMs) {
      const retriable = error instanceof StemmaError && error.retriable;
      logger[retriable ? 'info' : 'warn']({ key, retryInMs, err: error }, 'not reconciled');
    },
  });
  return {
    hasListed: () => listed,
    async close() {
      ended.abort();
      await queue.close();
      openGateways.close();
    },
  };
}

function inClusterAddress(run: TrainingRun): string {
  return `${serviceName(run, 'gateway')}.${run.metadata.namespace}.svc:${PORTS.gateway}`;
}
