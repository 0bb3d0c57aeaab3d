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
  const { connected, workers } = await createWorkers(spec, queues, { bundle, metrics });
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
      // A server that is away would hold back the polls that shutdown waits for.
      await endWithin(STOP_WITHIN_MS, Promise.all(runs).then(() => connected.close()));
    },
  };
}

interface Created {
  readonly connected: WorkerConnection;
  /** In the order of the queues. */
  readonly workers: readonly Worker[];
}

/**
 * The server is asked about the namespace before any worker asks it: what the SDK made for a worker that is refused, its threads too, is left behind and keeps
 * the process from ending. So does a worker that was created and never runs; each is waited for by itself, and not created again with the next.
 */
async function createWorkers(spec: WorkersSpec, queues: readonly Queue[], hosting: Omit<Hosting, 'connection'>): Promise<Created> {
  const reached = <T>(open: () => Promise<T>): Promise<T> => {
    const tried = (): Promise<T> => open().catch((error: unknown) => { throw unreachable(spec.address, error); });
    return spec.waiting ? waitFor(tried, spec.waiting) : tried();
  };
  const connected = await reached(() => connectWorkers({ address: spec.address, tls: spec.tls ?? null }, (error) => spec.onLog?.('ERROR', error.message, {})));
  const workers: Worker[] = [];
  connected.serve(workers);
  try {
    await reached(() => connected.current().workflowService.describeNamespace({ namespace: spec.namespace }));
    for (const queue of queues) workers.push(await reached(() => Worker.create(optionsOf(spec, queue, { connection: connected.current(), ...hosting }))));
    return { connected, workers };
  } catch (error) {
    await endWithin(STOP_WITHIN_MS, Promise.all(workers.map((worker) => worker.runUntil(Promise.resolve()))).then(() => connected.close()));
    throw error;
  }
}

/** What takes longer, or fails, goes on by itself. */
async function endWithin(ms: number, work: Promise<unknown>): Promise<void> {
  const late = new AbortController();
  await Promise.race([work.catch(() => undefined).finally(() => late.abort()), delay(ms, undefined, { signal: late.signal }).catch(() => undefined)]);
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
