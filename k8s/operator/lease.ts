/**
 * One operator acts, the others wait. The leader renews a Lease; `held()` turns false by its own clock before anyone else may take
 * over, so a leader that was stopped, cut off or merely slow writes nothing once another could. Clocks are never compared: a
 * candidate measures on its own how long the Lease has not changed.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { isRefusal, type KubeApi } from './api.js';
import { apiVersionOf, pathOf, type KubeObject } from './resources.js';

export interface LeaseSpec {
  readonly api: KubeApi;
  readonly namespace: string;
  readonly name: string;
  /** This process; no two share it. */
  readonly identity: string;
  /** From the last renewal anyone saw until another may take over. */
  readonly durationMs: number;
  /** The leader stops writing this long after its last renewal was sent: shorter than `durationMs` by more than a write takes. */
  readonly heldMs: number;
  readonly retryMs: number;
  readonly onTrouble: (error: unknown) => void;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

export interface Leadership {
  /** Whether this process may write now. */
  held(): boolean;
  /** When the API server last answered about the Lease, on the clock of `now`; -Infinity: never. */
  answeredAt(): number;
  /** Resolves when this process leads for the first time. */
  readonly elected: Promise<void>;
  /** Resolves when it led and does so no more, or has been closed. */
  readonly lost: Promise<void>;
  /** Hands the Lease back, so that nobody has to wait for its end. */
  close(): Promise<void>;
}

interface Lease extends KubeObject {
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

export function runForLeader(spec: LeaseSpec): Leadership {
  const candidate = new Candidate(spec);
  void candidate.run();
  return candidate;
}

class Candidate implements Leadership {
  readonly elected: Promise<void>;
  readonly lost: Promise<void>;
  private markElected!: () => void;
  private markLost!: () => void;
  private renewedAt = -Infinity;
  private lastAnswerAt = -Infinity;
  /** The Lease as last seen, and since when it looks like that. */
  private seen: { version: string; sinceMs: number } = { version: '', sinceMs: 0 };
  private readonly closing = new AbortController();
  private ended: Promise<void> = Promise.resolve();

  constructor(private readonly spec: LeaseSpec) {
    this.elected = new Promise((resolve) => { this.markElected = resolve; });
    this.lost = new Promise((resolve) => { this.markLost = resolve; });
  }

  held(): boolean {
    return this.spec.now() - this.renewedAt < this.spec.heldMs;
  }

  answeredAt(): number {
    return this.lastAnswerAt;
  }

  run(): Promise<void> {
    this.ended = this.loop();
    return this.ended;
  }

  async close(): Promise<void> {
    this.closing.abort();
    await this.ended;
    if (this.held()) await this.release().catch(this.spec.onTrouble);
    this.renewedAt = -Infinity;
    this.markLost();
  }

  private async loop(): Promise<void> {
    let led = false;
    while (!this.closing.signal.aborted) {
      await this.tryOnce().catch((error: unknown) => {
        if (!isRefusal(error, 'Conflict') && !isRefusal(error, 'AlreadyExists')) this.spec.onTrouble(error);
      });
      if (this.held() && !led) {
        led = true;
        this.markElected();
      } else if (led && !this.held()) {
        return this.markLost();
      }
      await delay(this.spec.retryMs, undefined, { signal: this.closing.signal }).catch(() => undefined);
    }
  }

  private async tryOnce(): Promise<void> {
    const startedAt = this.spec.now();
    const lease = await this.read();
    this.lastAnswerAt = this.spec.now();
    const version = lease?.metadata.resourceVersion ?? '';
    if (version !== this.seen.version) this.seen = { version, sinceMs: this.spec.now() };
    const holder = lease?.spec?.holderIdentity ?? '';
    const free = holder === '' || this.spec.now() - this.seen.sinceMs >= this.spec.durationMs;
    if (holder !== this.spec.identity && !free) return;
    const written = await this.write(lease, this.spec.identity);
    this.renewedAt = startedAt;
    this.seen = { version: written.metadata.resourceVersion ?? '', sinceMs: this.spec.now() };
  }

  private async read(): Promise<Lease | undefined> {
    const { api, namespace, name } = this.spec;
    return api.call<Lease>({ method: 'GET', path: pathOf('Lease', namespace, name) }).catch((error: unknown) => {
      if (isRefusal(error, 'NotFound')) return undefined;
      throw error;
    });
  }

  /** Refused if another was faster: the resource version is part of it. */
  private write(lease: Lease | undefined, holderIdentity: string): Promise<Lease> {
    const { api, namespace, name, durationMs } = this.spec;
    const now = new Date().toISOString().replace('Z', '000Z');
    const changed = lease?.spec?.holderIdentity !== holderIdentity;
    const body = {
      apiVersion: apiVersionOf('Lease'), kind: 'Lease', metadata: { name, namespace, ...(lease && { resourceVersion: lease.metadata.resourceVersion }) },
      spec: {
        ...lease?.spec, holderIdentity, leaseDurationSeconds: Math.ceil(durationMs / 1000), renewTime: now,
        ...(changed && { acquireTime: now, leaseTransitions: (lease?.spec?.leaseTransitions ?? 0) + 1 }),
      },
    };
    return api.call<Lease>(lease === undefined
      ? { method: 'POST', path: pathOf('Lease', namespace), body }
      : { method: 'PUT', path: pathOf('Lease', namespace, name), body });
  }

  private async release(): Promise<void> {
    const lease = await this.read();
    if (lease?.spec?.holderIdentity === this.spec.identity) await this.write(lease, '');
  }
}
