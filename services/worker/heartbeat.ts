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

/** Hears of every failed attempt, for the log and for whoever watches. */
export type OnAttemptFailed = (activity: string, error: unknown) => void;

export function withHeartbeat<F extends Activity>(activity: F, onFailed?: OnAttemptFailed): F {
  return (async (...args: Parameters<F>) => {
    const context = Context.current();
    const beat = setInterval(() => context.heartbeat(), HEARTBEAT_EVERY_MS);
    try {
      return await Promise.race([activity(...args), context.cancelled]);
    } catch (error) {
      onFailed?.(context.info.activityType, error);
      throw toApplicationFailure(error, context.info.attempt);
    } finally {
      clearInterval(beat);
    }
  }) as F;
}

/** Every function of the table wrapped. */
export function wrapActivities<T extends object>(activities: T, onFailed?: OnAttemptFailed): T {
  return Object.fromEntries(Object.entries(activities).map(([name, activity]) => [name, withHeartbeat(activity as Activity, onFailed)])) as T;
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
