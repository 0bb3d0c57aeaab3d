/** Follows all partitions of a run's topic into its index, and knows how far the index must be for a read. */
import { setTimeout as delay } from 'node:timers/promises';
import { StemmaError } from '../../../core/errors.js';
import { coalesced } from '../../runtime/coalesced.js';
import type { KafkaReader } from './kafka-client.js';
import { kafkaError, logClosed } from './kafka-errors.js';
import type { KafkaIndex, Refusal } from './kafka-index.js';

/** How long a read or an append waits for brokers that do not answer. */
const PATIENCE_MS = 60_000;
/** A broker that has just started may not know a topic yet: only then is it gone. */
const FINAL_AFTER_MS = 3_000;
const FIRST_PAUSE_MS = 25;
const LONGEST_PAUSE_MS = 1_000;
/** Refusals that their appender may still ask for. */
const KEPT_REFUSALS = 1_000;

export interface FeedOptions {
  readonly partitions: number;
  readonly openReader: () => Promise<KafkaReader>;
  readonly index: KafkaIndex;
  /** Something was indexed. */
  readonly onIndexed: () => void;
  /** Nothing ever will be again. */
  readonly onFatal: (error: StemmaError) => void;
}

interface Waiter {
  readonly partition: number;
  readonly offset: number;
  readonly resolve: () => void;
  readonly reject: (error: StemmaError) => void;
}

export class KafkaFeed {
  private reader: Promise<KafkaReader> | null = null;
  private readonly waiting = new Set<Waiter>();
  private readonly refusals = new Map<string, StemmaError>();
  private readonly ends: readonly (() => Promise<number>)[];
  private readonly stop = new AbortController();
  private readonly done: Promise<void>;
  private lastError: StemmaError | null = null;
  private fatal: StemmaError | null = null;

  constructor(private readonly options: FeedOptions) {
    const partitions = Array.from({ length: options.partitions }, (_, partition) => partition);
    this.ends = partitions.map((partition) => coalesced(() => this.endOf(partition)));
    this.done = this.run(partitions);
  }

  /** Throws what ended the following for good. */
  assertAlive(): void {
    if (this.fatal) throw this.fatal;
  }

  /** Resolves when everything of the partition that was acknowledged before the call, by any process, is in the index. */
  async caughtUp(partition: number): Promise<void> {
    const end = await this.ends[partition]!();
    await this.reached(partition, end);
  }

  /** Resolves when the index holds the partition up to (not including) the offset. */
  reached(partition: number, offset: number): Promise<void> {
    if (this.options.index.next(partition) >= offset) return Promise.resolve();
    const refusal = this.fatal ?? (this.stop.signal.aborted ? logClosed() : null);
    if (refusal) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => waiter.reject(this.lastError ?? late()), PATIENCE_MS);
      const settle = (): void => { clearTimeout(timer); this.waiting.delete(waiter); };
      const waiter: Waiter = {
        partition, offset,
        resolve: () => { settle(); resolve(); },
        reject: (error) => { settle(); reject(error); },
      };
      this.waiting.add(waiter);
    });
  }

  /** Why the event at this offset does not count; undefined if it does, or is a copy. */
  refusal(partition: number, offset: number): StemmaError | undefined {
    return this.refusals.size === 0 ? undefined : this.refusals.get(`${partition} ${offset}`);
  }

  async close(): Promise<void> {
    this.stop.abort();
    for (const waiter of [...this.waiting]) waiter.reject(logClosed());
    await this.drop(this.reader);
    await this.done;
  }

  private async run(partitions: readonly number[]): Promise<void> {
    let failingSince: number | null = null;
    let pause = FIRST_PAUSE_MS;
    while (!this.stop.signal.aborted && !this.fatal) {
      try {
        await this.followAll(partitions, () => { failingSince = null; pause = FIRST_PAUSE_MS; });
      } catch (error) {
        if (this.stop.signal.aborted) return;
        this.lastError = kafkaError(error, []);
        failingSince ??= performance.now();
        if (this.lastError.mendable) for (const waiter of [...this.waiting]) waiter.reject(this.lastError);
        else if (!this.lastError.retriable && performance.now() - failingSince > FINAL_AFTER_MS) this.fail(this.lastError);
        await delay(pause, undefined, { signal: this.stop.signal }).catch(() => undefined);
        pause = Math.min(LONGEST_PAUSE_MS, 2 * pause);
      }
    }
  }

  private fail(error: StemmaError): void {
    this.fatal = error;
    for (const waiter of [...this.waiting]) waiter.reject(error);
    this.options.onFatal(error);
  }

  /** One loop a leader, each with its own long poll. Ends with the first that fails: leaders may have moved. */
  private async followAll(partitions: readonly number[], onSuccess: () => void): Promise<void> {
    const opened = this.connected();
    let over = false;
    try {
      const reader = await opened;
      const leaders = await reader.leaders(partitions);
      await Promise.all([...leaders].map(async ([leader, led]) => {
        while (!over && !this.stop.signal.aborted) {
          const fetched = await reader.fetch(leader, new Map(led.map((partition) => [partition, this.options.index.next(partition)])));
          if (fetched.size > 0 && !this.stop.signal.aborted) this.take(fetched);
          onSuccess();
        }
      }));
    } finally {
      over = true;
      // A connection that failed is never used again: kafkajs keeps stale brokers in its pool.
      await this.drop(opened);
    }
  }

  private take(fetched: Parameters<KafkaIndex['commit']>[0]): void {
    this.remember(this.options.index.commit(fetched));
    for (const waiter of [...this.waiting]) if (this.options.index.next(waiter.partition) >= waiter.offset) waiter.resolve();
    this.options.onIndexed();
  }

  private remember(refused: readonly Refusal[]): void {
    for (const { partition, offset, error } of refused) {
      this.refusals.set(`${partition} ${offset}`, error);
      if (this.refusals.size > KEPT_REFUSALS) this.refusals.delete(this.refusals.keys().next().value!);
    }
  }

  private async endOf(partition: number): Promise<number> {
    const giveUpAt = performance.now() + PATIENCE_MS;
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(LONGEST_PAUSE_MS, 2 * pause)) {
      this.assertAlive();
      if (this.stop.signal.aborted) throw logClosed();
      const opened = this.connected();
      try {
        return await (await opened).end(partition);
      } catch (error) {
        await this.drop(opened);
        if (performance.now() > giveUpAt) throw kafkaError(error, []);
        await delay(pause, undefined, { signal: this.stop.signal }).catch(() => undefined);
      }
    }
  }

  private connected(): Promise<KafkaReader> {
    return (this.reader ??= this.options.openReader());
  }

  private async drop(opened: Promise<KafkaReader> | null): Promise<void> {
    if (opened === null) return;
    if (this.reader === opened) this.reader = null;
    await opened.then((reader) => reader.close(), () => undefined);
  }
}

function late(): StemmaError {
  return new StemmaError('log', 'UNAVAILABLE', `Kafka did not deliver what it had acknowledged within ${PATIENCE_MS / 1000} s`, 'Look at the broker; the same call may be made again.');
}
