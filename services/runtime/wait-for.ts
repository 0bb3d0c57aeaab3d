/** What a process needs before it can start, and may not be there yet: whoever starts it need not know an order. */
import { setTimeout as delay } from 'node:timers/promises';
import { StemmaError } from '../../core/errors.js';

export interface Waiting {
  /** Called with each new reason to wait, on one line. */
  readonly onWait: (why: string) => void;
  /** Ends the waiting; rejects with the last reason. */
  readonly stop?: AbortSignal;
  /** No new try starts later than this after the first; absent: without limit. */
  readonly withinMs?: number;
}

const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 3_000;

/** Opens it, again and again while the error is retriable. What only a person can mend is thrown at once. */
export async function waitFor<T>(open: () => Promise<T>, { onWait, stop, withinMs = Infinity }: Waiting): Promise<T> {
  const startedMs = performance.now();
  let said = '';
  for (let waitMs = FIRST_DELAY_MS; ; waitMs = Math.min(LONGEST_DELAY_MS, waitMs * 2)) {
    try {
      return await open();
    } catch (error) {
      const mayHelp = error instanceof StemmaError && error.retriable && performance.now() - startedMs + waitMs <= withinMs;
      if (!mayHelp || stop?.aborted) throw error;
      const why = error.message.replaceAll(/\s*\n\s*/g, '; ');
      if (why !== said) onWait(why);
      said = why;
      await delay(waitMs, undefined, { signal: stop }).catch(() => { throw error; });
    }
  }
}
