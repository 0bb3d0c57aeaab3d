/** What Temporal has this process do: durations and outcomes by activity, and how many of its slots are in use. */
import { CancelledFailure } from '@temporalio/common';
import type { Registry } from 'prom-client';
import { StemmaError } from '../../core/errors.js';
import { gauge, histogram } from '../runtime/metrics.js';

export interface ActivityMetrics {
  slots(queue: string, count: number): void;
  /** Returns what is called at its end. */
  started(queue: string, activity: string): (error?: unknown) => void;
}

/** 10 ms to 82 s: a standing rollout stays for a minute. */
const BUCKETS_SECONDS = Array.from({ length: 14 }, (_, power) => 2 ** power / 100);

export function createActivityMetrics(registry: Registry): ActivityMetrics {
  const seconds = histogram(registry, {
    name: 'stemma_activity_seconds', help: 'Attempts of activities by outcome: ok, cancelled, or the error\'s code.', labels: ['activity', 'outcome'], buckets: BUCKETS_SECONDS,
  });
  const running = gauge(registry, { name: 'stemma_activity_running', help: 'Activities running: slots in use.', labels: ['queue'] });
  const slots = gauge(registry, { name: 'stemma_activity_slots', help: 'Activities of a task queue that this process runs at most at once.', labels: ['queue'] });
  return {
    slots(queue, count) {
      slots.set({ queue }, count);
      running.set({ queue }, 0);
    },
    started(queue, activity) {
      const startedMs = performance.now();
      running.inc({ queue });
      return (error) => {
        running.dec({ queue });
        seconds.observe({ activity, outcome: outcomeOf(error) }, (performance.now() - startedMs) / 1000);
      };
    },
  };
}

function outcomeOf(error: unknown): string {
  if (error === undefined) return 'ok';
  if (error instanceof StemmaError) return error.code;
  return error instanceof CancelledFailure ? 'cancelled' : 'unknown';
}
