/** Where wall time goes: the sidecar computed, a person had paused the run, or we orchestrated (tool time, microseconds here, is in that). */
import type { Trainer } from '../../core/ports.js';
import type { Spent } from '../../proto/gen/stemma/v1/events.js';

export interface Stopwatch {
  /** Work on a stage begins: what went before (starting up) is nobody's time. A no-op while it runs for this stage. */
  start(stage: string): void;
  /**
   * Seconds since the last lap of this process, split. Restarts of the sidecar reset its counter; what ran before is then lost to `compute`.
   * `busySeconds`: the sidecar's counter where it is at hand; else it is asked.
   */
  lap(busySeconds?: number): Promise<Spent>;
  /** A person paused the run: until it is resumed, time is waited for. */
  pause(): void;
  resume(): void;
}

/** `alone`: all planning of a run happens in this process. Otherwise another service may have done the stages between two of ours, and recorded their time. */
export function startStopwatch(trainer: Pick<Trainer, 'status'>, nowMs: () => number, alone = true): Stopwatch {
  let lastMs: number | undefined;
  let current: string | undefined;
  let pausedMs: number | undefined;
  let lastBusy = 0;
  let waitingMs = 0;
  const settlePause = (): void => {
    if (pausedMs !== undefined) waitingMs += nowMs() - pausedMs;
  };
  return {
    start(stage) {
      if (lastMs === undefined || (!alone && stage !== current)) lastMs = nowMs();
      current = stage;
    },
    pause: () => void (pausedMs ??= nowMs()),
    resume() {
      settlePause();
      pausedMs = undefined;
    },
    async lap(atHand) {
      const busySeconds = atHand ?? (await trainer.status()).busySeconds;
      const now = nowMs();
      settlePause();
      const wallSeconds = (now - (lastMs ?? now)) / 1000;
      const computed = busySeconds >= lastBusy ? busySeconds - lastBusy : busySeconds;
      const computeSeconds = Math.min(computed, wallSeconds);
      const spent = { wallSeconds, computeSeconds, waitingSeconds: Math.min(waitingMs / 1000, wallSeconds - computeSeconds) };
      lastMs = now;
      if (pausedMs !== undefined) pausedMs = now;
      lastBusy = busySeconds;
      waitingMs = 0;
      return spent;
    },
  };
}
