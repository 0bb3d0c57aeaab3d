/**
 * Temporal workers of one process: one a task queue, on one connection. At scale each service starts with its own queue only;
 * on one machine all-in-one hosts all four. Workflows are hosted with the `worker` activities.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker';
import { Registry } from 'prom-client';
import { StemmaError } from '../../core/errors.js';
import type { DistillerActivities, LearnerActivities, RolloutActivities, RunActivities } from '../../workflows/activities.js';
import type { HealthCheck } from '../runtime/health.js';
import { createActivityMetrics, type ActivityMetrics } from './activity-metrics.js';
import { loadWorkflowBundle, type WorkflowBundle } from './bundle.js';
import { wrapActivities, type AttemptWatcher } from './heartbeat.js';
import { installRuntime, type OnSdkLog } from './sdk-runtime.js';
import { temporalCheck } from './temporal-check.js';

export interface HostedActivities {
  readonly worker?: RunActivities;
  readonly learner?: LearnerActivities;
  readonly distiller?: DistillerActivities;
  readonly rollout?: RolloutActivities;
}

export interface WorkersSpec {
  /** host:port of Temporal's gRPC endpoint. */
  readonly address: string;
  readonly namespace: string;
  readonly activities: HostedActivities;
  /** Default: the prebuilt one, or built now. */
  readonly bundle?: WorkflowBundle;
  /** What Temporal's SDK has to say; default: nothing below a warning, to stderr. */
  readonly onLog?: OnSdkLog;
  readonly onAttemptFailed?: AttemptWatcher['onAttemptFailed'];
  readonly onAttemptDone?: AttemptWatcher['onAttemptDone'];
  /** Where attempts are counted; default: nowhere. */
  readonly registry?: Registry;
  /** A worker ended by itself: this process can no longer do its work. */
  readonly onFailure?: (error: StemmaError) => void;
}

export interface Workers {
  /** That Temporal answers, and that each worker polls its queue. */
  readonly checks: readonly HealthCheck[];
  /** Running activities are cancelled, then at most three seconds. Idempotent. */
  stop(): Promise<void>;
}

const STOP_WITHIN_MS = 3000;

type Queue = keyof HostedActivities;

/** How many activities of a queue one process runs at once. */
const CONCURRENT: { readonly [Q in Queue]: number } = { worker: 16, learner: 4, distiller: 4, rollout: 64 };

/** UNAVAILABLE if the server cannot be reached. */
export async function startWorkers(spec: WorkersSpec): Promise<Workers> {
  await installRuntime(spec.onLog);
  const bundle = spec.activities.worker ? spec.bundle ?? await loadWorkflowBundle() : undefined;
  const connection = await connect(spec.address);
  const metrics = createActivityMetrics(spec.registry ?? new Registry());
  const queues = (Object.keys(CONCURRENT) as Queue[]).filter((queue) => spec.activities[queue] !== undefined);
  const workers = await Promise.all(queues.map((queue) => Worker.create(optionsOf(spec, queue, { connection, bundle, metrics }))));
  let stopping = false;
  const runs = workers.map((worker, index) => worker.run().catch((error: unknown) => {
    if (!stopping) spec.onFailure?.(workerFailure(queues[index] as Queue, error));
  }));
  return {
    checks: [temporalCheck(connection), { name: 'worker', ask: async () => workers.forEach((worker, index) => assertPolls(queues[index] as Queue, worker)), wedgedAfterMs: 0 }],
    async stop() {
      if (!stopping) {
        stopping = true;
        for (const worker of workers) worker.shutdown();
      }
      const stopped = Promise.all(runs).then(() => connection.close()).catch(() => undefined);
      const late = new AbortController();
      // A server that is away would hold back the polls that shutdown waits for.
      await Promise.race([stopped.finally(() => late.abort()), delay(STOP_WITHIN_MS, undefined, { signal: late.signal }).catch(() => undefined)]);
    },
  };
}

interface Hosting {
  readonly connection: NativeConnection;
  readonly bundle: WorkflowBundle | undefined;
  readonly metrics: ActivityMetrics;
}

function optionsOf(spec: WorkersSpec, queue: Queue, { connection, bundle, metrics }: Hosting): WorkerOptions {
  metrics.slots(queue, CONCURRENT[queue]);
  return {
    connection,
    namespace: spec.namespace,
    taskQueue: `stemma-${queue}`,
    activities: wrapActivities(spec.activities[queue] as object, { ...spec, started: (activity) => metrics.started(queue, activity) }),
    ...(queue === 'worker' && bundle ? { workflowBundle: { code: bundle.code } } : {}),
    maxConcurrentActivityTaskExecutions: CONCURRENT[queue],
    maxConcurrentActivityTaskPolls: 4,
    // A workflow of a killed process moves to another after a second.
    stickyQueueScheduleToStartTimeout: '1 second',
    // Heartbeats are sent at least once a second: the time-out is five.
    maxHeartbeatThrottleInterval: '1 second',
    defaultHeartbeatThrottleInterval: '1 second',
    shutdownGraceTime: 0,
    shutdownForceTime: STOP_WITHIN_MS - 500,
  };
}

async function connect(address: string): Promise<NativeConnection> {
  try {
    return await NativeConnection.connect({ address });
  } catch (error) {
    throw new StemmaError('temporal', 'UNAVAILABLE', `Temporal at ${address} cannot be reached: ${(error as Error).message}`, 'Is the Temporal server up, and is this its gRPC address?', error);
  }
}

function assertPolls(queue: Queue, worker: Worker): void {
  const state = worker.getState();
  if (state !== 'RUNNING') throw new Error(`stemma-${queue} is not polled: its worker is ${state}`);
}

function workerFailure(queue: Queue, error: unknown): StemmaError {
  return new StemmaError('temporal', 'UNAVAILABLE', `the worker of stemma-${queue} ended: ${(error as Error).message}`, 'Start the service again.', error);
}
