/**
 * What every activity is wrapped in: a heartbeat a second, so that a dead process is noticed after five;
 * an end as soon as it is cancelled or the worker shuts down (what is left running may still write: claims make that harmless);
 * and errors Temporal can read.
 */
import { Context } from '@temporalio/activity';
import { StemmaError } from '../../core/errors.js';
import { toApplicationFailure } from '../runtime/activity-errors.js';

const HEARTBEAT_EVERY_MS = 1000;

type Activity = (...args: never[]) => Promise<unknown>;

/** What an attempt works on, as log lines name it. */
export interface AttemptSubject {
  readonly activity: string;
  /** The same for all attempts of one call. */
  readonly id: string;
  readonly run?: string;
  readonly stage?: string;
}

/** Hears of every attempt, for the log, for metrics and for whoever waits. */
export interface AttemptWatcher {
  /** Returns what is called at its end. */
  readonly started?: (activity: string) => (error?: unknown) => void;
  readonly onAttemptFailed?: (subject: AttemptSubject, error: unknown) => void;
  readonly onAttemptDone?: (subject: AttemptSubject) => void;
}

export function withHeartbeat<F extends Activity>(activity: F, watcher: AttemptWatcher = {}): F {
  return (async (...args: Parameters<F>) => {
    const context = Context.current();
    const { activityType, activityId, attempt, workflowExecution } = context.info;
    const subject = { activity: activityType, id: `${workflowExecution?.runId}/${activityId}`, ...subjectOf(args[0]) };
    const beat = setInterval(() => context.heartbeat(), HEARTBEAT_EVERY_MS);
    const ended = watcher.started?.(activityType);
    try {
      const result = await Promise.race([activity(...args), context.cancelled]);
      ended?.();
      watcher.onAttemptDone?.(subject);
      return result;
    } catch (error) {
      ended?.(error);
      watcher.onAttemptFailed?.(subject, error);
      throw toApplicationFailure(error, attempt);
    } finally {
      clearInterval(beat);
    }
  }) as F;
}

/** The first argument of every activity is a run's id, or names run and stage. */
function subjectOf(argument: unknown): { run?: string; stage?: string } {
  if (typeof argument === 'string') return { run: argument };
  const { run, stage } = (argument ?? {}) as { run?: string; stage?: string };
  return { ...(run !== undefined && { run }), ...(stage !== undefined && { stage }) };
}

/** Every function of the table wrapped. */
export function wrapActivities<T extends object>(activities: T, watcher?: AttemptWatcher): T {
  return Object.fromEntries(Object.entries(activities).map(([name, activity]) => [name, withHeartbeat(activity as Activity, watcher)])) as T;
}

/** A heartbeat with a position; outside an activity, nothing. UNAVAILABLE once the activity is cancelled: another attempt has its work, so go no further. */
export function heartbeat(position?: unknown): void {
  if (!inActivity()) return;
  const context = Context.current();
  if (context.cancellationSignal.aborted) {
    throw new StemmaError('temporal', 'UNAVAILABLE', `${context.info.activityType} was cancelled`, 'Nothing to do: another attempt goes on from what is recorded.');
  }
  context.heartbeat(position);
}

/** Aborted when the activity that asks is cancelled or its worker shuts down; outside an activity, never. */
export function cancellation(): AbortSignal {
  return inActivity() ? Context.current().cancellationSignal : new AbortController().signal;
}

function inActivity(): boolean {
  try {
    Context.current();
    return true;
  } catch {
    return false;
  }
}
