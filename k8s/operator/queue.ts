/** Keys that need work: each at most once in the queue, never worked on twice at a time, failures later and later. */

export interface WorkQueueSpec {
  /** Resolves to the milliseconds after which the key shall be looked at again, or null. */
  readonly work: (key: string) => Promise<number | null>;
  readonly onFailure: (key: string, error: unknown, retryInMs: number) => void;
  /** Keys worked on side by side. */
  readonly workers: number;
  readonly firstRetryMs?: number;
  readonly longestRetryMs?: number;
}

const FIRST_RETRY_MS = 200;
const LONGEST_RETRY_MS = 60_000;

export class WorkQueue {
  private readonly waiting = new Set<string>();
  private readonly running = new Set<string>();
  private readonly failures = new Map<string, number>();
  private readonly timers = new Map<string, NodeJS.Timeout>();
  private readonly idle: (() => void)[] = [];
  private closed = false;

  constructor(private readonly spec: WorkQueueSpec) {}

  /** While it is worked on it is remembered, and worked on again afterwards. */
  add(key: string): void {
    if (this.closed) return;
    this.waiting.add(key);
    this.startMore();
  }

  /** Keys waiting now: what a gauge shows. */
  depth(): number {
    return this.waiting.size;
  }

  /** Nothing is started any more; resolves when what runs has ended. */
  async close(): Promise<void> {
    this.closed = true;
    this.waiting.clear();
    for (const timer of this.timers.values()) clearTimeout(timer);
    if (this.running.size > 0) await new Promise<void>((resolve) => this.idle.push(resolve));
  }

  private startMore(): void {
    for (const key of this.waiting) {
      if (this.running.size >= this.spec.workers) return;
      if (this.running.has(key)) continue;
      this.waiting.delete(key);
      this.running.add(key);
      void this.run(key);
    }
  }

  private async run(key: string): Promise<void> {
    clearTimeout(this.timers.get(key));
    this.timers.delete(key);
    try {
      const againInMs = await this.spec.work(key);
      this.failures.delete(key);
      if (againInMs !== null) this.addAfter(key, againInMs);
    } catch (error) {
      const failures = this.failures.get(key) ?? 0;
      this.failures.set(key, failures + 1);
      const retryInMs = Math.min(this.spec.longestRetryMs ?? LONGEST_RETRY_MS, (this.spec.firstRetryMs ?? FIRST_RETRY_MS) * 2 ** failures);
      if (!this.closed) this.spec.onFailure(key, error, retryInMs);
      this.addAfter(key, retryInMs);
    } finally {
      this.running.delete(key);
      if (this.running.size === 0) for (const resolve of this.idle.splice(0)) resolve();
      this.startMore();
    }
  }

  private addAfter(key: string, ms: number): void {
    if (this.closed) return;
    this.timers.set(key, setTimeout(() => {
      this.timers.delete(key);
      this.add(key);
    }, ms));
  }
}
