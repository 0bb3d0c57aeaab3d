/** How much one caller may ask for: a bucket of requests that refills, and a number of open streams. Pure: time comes as an argument. */

export interface Limits {
  /** Requests at once, after a pause. */
  readonly burst: number;
  readonly perSecond: number;
  readonly openStreams: number;
}

/** A person with a script, a dashboard and an operator with a thousand runs are all far below. */
export const LIMITS: Limits = { burst: 200, perSecond: 100, openStreams: 32 };

interface Bucket {
  /** Thousandths of a request: whole numbers, so that who waits as told gets through. */
  readonly credit: number;
  readonly atMs: number;
}

/** Callers kept in mind; whoever has not asked for longest is forgotten, and starts with a full bucket. */
const MOST_CALLERS = 10_000;

export class RateLimit {
  readonly #buckets = new Map<string, Bucket>();

  constructor(private readonly limits: Pick<Limits, 'burst' | 'perSecond'>) {}

  /** Milliseconds until the caller may ask again; 0: now, and it counts. */
  take(caller: string, nowMs: number): number {
    const { burst, perSecond } = this.limits;
    const atMs = Math.floor(nowMs);
    const last = this.#buckets.get(caller) ?? { credit: burst * 1000, atMs };
    const credit = Math.min(burst * 1000, last.credit + (atMs - last.atMs) * perSecond);
    const allowed = credit >= 1000;
    this.#buckets.delete(caller);
    this.#buckets.set(caller, { credit: allowed ? credit - 1000 : credit, atMs });
    if (this.#buckets.size > MOST_CALLERS) this.#buckets.delete(this.#buckets.keys().next().value as string);
    return allowed ? 0 : Math.ceil((1000 - credit) / perSecond);
  }
}

export class OpenStreams {
  readonly #open = new Map<string, number>();

  constructor(private readonly most: number) {}

  /** False: the caller has as many as it may. */
  open(caller: string): boolean {
    const count = this.#open.get(caller) ?? 0;
    if (count >= this.most) return false;
    this.#open.set(caller, count + 1);
    return true;
  }

  close(caller: string): void {
    const count = (this.#open.get(caller) ?? 0) - 1;
    if (count > 0) this.#open.set(caller, count);
    else this.#open.delete(caller);
  }
}
