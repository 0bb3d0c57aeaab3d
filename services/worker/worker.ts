/**
 * Temporal workers of one process: one a task queue, on one connection. At scale each service starts with its own queue only;
 * on one machine all-in-one hosts all four. Workflows are hosted with the `worker` activities.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Worker, type NativeConnection, type WorkerOptions } from '@temporalio/worker';
import { Registry } from 'prom-client';
import { StemmaError } from '../../core/errors.js';
import type { DistillerActivities, LearnerActivities, RolloutActivities, RunActivities } from '../../workflows/activities.js';
import type { HealthCheck } from '../runtime/health.js';
import { settleAll } from '../runtime/settle-all.js';
import { waitFor, type Waiting } from '../runtime/wait-for.js';
import { createActivityMetrics, type ActivityMetrics } from './activity-metrics.js';
import { loadWorkflowBundle, type WorkflowBundle } from './bundle.js';
import { wrapActivities, type AttemptWatcher } from './heartbeat.js';
import { installRuntime, type OnSdkLog } from './sdk-runtime.js';
import type { Tls } from '../runtime/tls/tls.js';
import { temporalCheck } from './temporal-check.js';
import { traceActivity, traceSinks } from './temporal-tracing.js';
import { connectWorkers, unreachable, type TemporalAt, type WorkerConnection } from './temporal-connection.js';

export interface HostedActivities {
  readonly worker?: RunActivities;
  readonly learner?: LearnerActivities;
  readonly distiller?: DistillerActivities;
  readonly rollout?: RolloutActivities;
}

export interface WorkersSpec extends Pick<TemporalAt, 'address'> {
  /** Absent: plain text. */
  readonly tls?: Tls | null;
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
  /** While the server cannot be reached; absent: that is thrown. */
  readonly waiting?: Waiting;
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

/**
 * After how long Temporal's SDK interrupts a decision. It counts by the clock on the wall: with its five seconds, a process that is stopped
 * for six while a workflow decides, as a frozen container is, comes back into an interrupted promise, and Node then ends the whole process
 * ("async hook stack has become corrupted", nodejs/node issue 38503). Workflow code has no loop that could run for so long.
 * The SDK takes it as it takes its other options; their type leaves it out.
 */
const UNINTERRUPTED = { isolateExecutionTimeout: '1 hour' };

type Queue = keyof HostedActivities;

/** How many activities of a queue one process runs at once. */
const CONCURRENT: { readonly [Q in Queue]: number } = { worker: 16, learner: 4, distiller: 4, rollout: 64 };

/** UNAVAILABLE if the server cannot be reached and is not waited for. */
export async function startWorkers(spec: WorkersSpec): Promise<Workers> {
  await installRuntime(spec.onLog);
  const bundle = spec.activities.worker ? spec.bundle ?? await loadWorkflowBundle() : undefined;
  const metrics = createActivityMetrics(spec.registry ?? new Registry());
  const queues = (Object.keys(CONCURRENT) as Queue[]).filter((queue) => spec.activities[queue] !== undefined);
  const create = (): Promise<Created> => createWorkers(spec, queues, { bundle, metrics });
  const { connected, workers } = await (spec.waiting ? waitFor(create, spec.waiting) : create());
  let stopping = false;
  const runs = workers.map((worker, index) => worker.run().catch((error: unknown) => {
    if (!stopping) spec.onFailure?.(workerFailure(queues[index] as Queue, error));
  }));
  return {
    checks: [temporalCheck(() => connected.current()), { name: 'worker', ask: async () => workers.forEach((worker, index) => assertPolls(queues[index] as Queue, worker)), wedgedAfterMs: 0 }],
    async stop() {
      if (!stopping) {
        stopping = true;
        for (const worker of workers) worker.shutdown();
      }
      const stopped = Promise.all(runs).then(() => connected.close()).catch(() => undefined);
      const late = new AbortController();
      // A server that is away would hold back the polls that shutdown waits for.
      await Promise.race([stopped.finally(() => late.abort()), delay(STOP_WITHIN_MS, undefined, { signal: late.signal }).catch(() => undefined)]);
    },
  };
}

interface Created {
  readonly connected: WorkerConnection;
  /** In the order of the queues. */
  readonly workers: readonly Worker[];
}

/** Asks the server about the namespace: it has to be there. */
async function createWorkers(spec: WorkersSpec, queues: readonly Queue[], hosting: Omit<Hosting, 'connection'>): Promise<Created> {
  const connected = await connectWorkers({ address: spec.address, tls: spec.tls ?? null }, (error) => spec.onLog?.('ERROR', error.message, {}));
  const connection = connected.current();
  try {
    const workers = await settleAll(queues.map((queue) => Worker.create(optionsOf(spec, queue, { connection, ...hosting }))));
    connected.serve(workers);
    return { connected, workers };
  } catch (error) {
    // Refused while a worker that was created holds it.
    await connected.close().catch(() => undefined);
    throw unreachable(spec.address, error);
  }
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
    interceptors: { activity: [traceActivity] },
    sinks: traceSinks,
    ...(queue === 'worker' && bundle ? { workflowBundle: { code: bundle.code } } : {}),
    ...UNINTERRUPTED,
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

function assertPolls(queue: Queue, worker: Worker): void {
  const state = worker.getState();
  if (state !== 'RUNNING') throw new Error(`stemma-${queue} is not polled: its worker is ${state}`);
}

function workerFailure(queue: Queue, error: unknown): StemmaError {
  return new StemmaError('temporal', 'UNAVAILABLE', `the worker of stemma-${queue} ended: ${(error as Error).message}`, 'Start the service again.', error);
}
