/** Stands in for node:timers/promises in a simulation: services wait in its virtual time. */
import type { Scheduler } from './scheduler.js';

let current: Scheduler | undefined;

/** While `work` runs, services wait and measure by `scheduler`. One simulation at a time. */
export async function inTimeOf<T>(scheduler: Scheduler, work: () => Promise<T>): Promise<T> {
  current = scheduler;
  performance.now = () => scheduler.nowMs;
  try {
    return await work();
  } finally {
    current = undefined;
    delete (performance as { now?: unknown }).now;
  }
}

export function simulatedTimers(actual: typeof import('node:timers/promises')): typeof import('node:timers/promises') {
  const setTimeout = <T>(ms?: number, value?: T): Promise<T | void> => (current ? current.sleep(ms ?? 0).then(() => value) : actual.setTimeout(ms, value));
  return { ...actual, setTimeout: setTimeout as typeof actual.setTimeout };
}
