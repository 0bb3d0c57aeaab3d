/** Asks a process over and over whether it is live, so that one that is wedged can be ended: nothing else tells it from one that works long. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Tls } from '../runtime/tls/tls.js';
import { askOwn } from '../runtime/tls/web.js';

export interface LivenessSpec {
  /** …/healthz */
  readonly url: string;
  /** Absent: plain text. */
  readonly tls?: Tls | null;
  /** Called once after it has not been live for so long; then the count starts again. */
  readonly onWedged: (why: string) => void;
  readonly everyMs?: number;
  readonly wedgedAfterMs?: number;
}

const EVERY_MS = 2_000;
/** Far beyond any pause of a busy machine: ending a process that works costs its work. */
const WEDGED_AFTER_MS = 60_000;

/** Returns what ends it. */
export function watchLiveness({ url, tls = null, onWedged, everyMs = EVERY_MS, wedgedAfterMs = WEDGED_AFTER_MS }: LivenessSpec): () => void {
  const stop = new AbortController();
  void (async () => {
    let lastLiveMs = performance.now();
    while (!stop.signal.aborted) {
      const problem = await problemOf(url, tls, wedgedAfterMs / 2);
      if (problem === null) lastLiveMs = performance.now();
      if (performance.now() - lastLiveMs >= wedgedAfterMs && !stop.signal.aborted) {
        onWedged(problem ?? 'it does not answer');
        lastLiveMs = performance.now();
      }
      await delay(everyMs, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  })();
  return () => stop.abort();
}

/** One that is being started again refuses connections: its supervisor sees to that. */
async function problemOf(url: string, tls: Tls | null, withinMs: number): Promise<string | null> {
  try {
    const { ok, text } = await askOwn(url, { tls, withinMs });
    return ok ? null : text;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED' ? null : 'it does not answer';
  }
}
