/** Where wall time goes: the sidecar computed, something was waited for, or we orchestrated. */
import type { Trainer } from '../../core/ports.js';
import type { Spent } from '../../proto/gen/stemma/v1/events.js';

export interface Stopwatch {
  /** Seconds since the last lap of this process, split. Restarts of the sidecar reset its counter; what ran before is then lost to `compute`. */
  lap(): Promise<Spent>;
  /** Time in which a tool or a person was waited for and nothing else ran. */
  waited(seconds: number): void;
}

export function startStopwatch(trainer: Pick<Trainer, 'status'>, nowMs: () => number): Stopwatch {
  let lastMs = nowMs();
  let lastBusy = 0;
  let waiting = 0;
  return {
    waited(seconds) {
      waiting += seconds;
    },
    async lap() {
      const { busySeconds } = await trainer.status();
      const now = nowMs();
      const wallSeconds = (now - lastMs) / 1000;
      const computed = busySeconds >= lastBusy ? busySeconds - lastBusy : busySeconds;
      const spent = { wallSeconds, computeSeconds: Math.min(computed, wallSeconds), waitingSeconds: Math.min(waiting, wallSeconds) };
      lastMs = now;
      lastBusy = busySeconds;
      waiting = 0;
      return spent;
    },
  };
}
