/**
 * What a process says of itself to whoever watches it.
 *
 *   live   it is not wedged: leave it alone. A process whose event loop hangs does not answer at all.
 *   ready  it can serve now: started, and every check passes.
 *
 * A log or server that is away makes a process not ready and leaves it live, since starting it again would not bring
 * them back. Where a check says so, failing for long is taken for its own fault, and ends that.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { RunLogs } from '../../core/ports.js';

export interface HealthCheck {
  /** log, temporal, worker, sidecar. */
  readonly name: string;
  /** Rejects with what is wrong. */
  readonly ask: () => Promise<unknown>;
  /** After failing for so long the process is not live. Default: never. */
  readonly wedgedAfterMs?: number;
}

export interface Health {
  add(check: HealthCheck): void;
  /** Until then it is live and not ready. */
  started(): void;
  /** What is wrong, a line each; none: live. */
  live(): Promise<readonly string[]>;
  /** What is wrong, a line each; none: ready. */
  ready(): Promise<readonly string[]>;
}

export interface HealthLimits {
  /** Who asks within this shares the last answer. */
  readonly freshMs: number;
  /** Silence beyond this is a failure. */
  readonly answersWithinMs: number;
}

const LIMITS: HealthLimits = { freshMs: 500, answersWithinMs: 2_000 };

export function createHealth(limits = LIMITS): Health {
  const watched: WatchedCheck[] = [];
  let isStarted = false;
  const problems = async (which: readonly WatchedCheck[], counts: (check: WatchedCheck) => boolean): Promise<string[]> => {
    const found = await Promise.all(which.map(async (check) => ({ check, problem: await check.problem() })));
    return found.flatMap(({ check, problem }) => (problem !== null && counts(check) ? [`${check.name}: ${problem}`] : []));
  };
  return {
    add: (check) => void watched.push(new WatchedCheck(check, limits)),
    started: () => { isStarted = true; },
    live: () => problems(watched.filter(({ canWedge }) => canWedge), (check) => check.isWedged),
    ready: async () => [...(isStarted ? [] : ['starting']), ...await problems(watched, () => true)],
  };
}

/** A client that has not reached the log for minutes may be at fault itself: a fresh process opens a fresh one. */
const LOG_WEDGED_AFTER_MS = 180_000;

export function logCheck(logs: Pick<RunLogs, 'list'>): HealthCheck {
  return { name: 'log', ask: () => logs.list(), wedgedAfterMs: LOG_WEDGED_AFTER_MS };
}

class WatchedCheck {
  readonly name: string;
  private readonly wedgedAfterMs: number;
  private failingSinceMs: number | null = null;
  private last: { readonly askedMs: number; readonly problem: Promise<string | null> } | undefined;
  /** A question that was not answered in time is not asked again beside itself. */
  private open: Promise<unknown> | undefined;

  constructor(private readonly check: HealthCheck, private readonly limits: HealthLimits) {
    this.name = check.name;
    this.wedgedAfterMs = check.wedgedAfterMs ?? Infinity;
  }

  get canWedge(): boolean {
    return this.wedgedAfterMs < Infinity;
  }

  get isWedged(): boolean {
    return this.failingSinceMs !== null && performance.now() - this.failingSinceMs >= this.wedgedAfterMs;
  }

  problem(): Promise<string | null> {
    if (this.last === undefined || performance.now() - this.last.askedMs >= this.limits.freshMs) this.last = { askedMs: performance.now(), problem: this.ask() };
    return this.last.problem;
  }

  private async ask(): Promise<string | null> {
    const answered = new AbortController();
    const late = delay(this.limits.answersWithinMs, undefined, { signal: answered.signal }).then(() => { throw new Error('no answer in time'); });
    this.open ??= this.check.ask().finally(() => { this.open = undefined; });
    try {
      await Promise.race([this.open, late]);
      this.failingSinceMs = null;
      return null;
    } catch (error) {
      this.failingSinceMs ??= performance.now();
      return (error as Error).message.split('\n')[0] ?? 'failed';
    } finally {
      answered.abort();
    }
  }
}
