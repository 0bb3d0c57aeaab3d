/** EventLog over one run's topic: appends go to Kafka, reads come from the local index. */
import { StemmaError } from '../../../core/errors.js';
import type { EventLog, StopSignal, StoredEvent, TailBatch } from '../../../core/ports.js';
import type { Event } from '../../../proto/gen/stemma/v1/events.js';
import { KafkaAppender, type Landed } from './kafka-appender.js';
import type { KafkaClient } from './kafka-client.js';
import { KafkaFeed } from './kafka-feed.js';
import type { KafkaIndex } from './kafka-index.js';
import { partitionOf } from './kafka-partition.js';
import { Tails } from './tails.js';

const ENDS: ReadonlySet<string> = new Set(['runFinished', 'runFailed', 'runStopped']);
const ID_HEX = /^[0-9a-f]{32}$/;

export interface KafkaLogOptions {
  readonly topic: string;
  readonly partitions: number;
  readonly client: KafkaClient;
  readonly index: KafkaIndex;
  /** The run's last fact was appended. May be called again. */
  readonly onEnd: () => Promise<void>;
}

export class KafkaLog implements EventLog {
  private readonly appender: KafkaAppender;
  private readonly feed: KafkaFeed;
  private readonly tails = new Tails();
  /** Appends that were acknowledged and wait for the index. */
  private readonly verifying = new Set<Promise<unknown>>();
  private closed: Promise<void> | null = null;

  /** Owns the index. */
  constructor(private readonly options: KafkaLogOptions) {
    const { topic, partitions, client, index } = options;
    this.appender = new KafkaAppender({ topic, partitions, openProducer: () => client.openProducer() });
    this.feed = new KafkaFeed({
      partitions, index, openReader: () => client.openReader(topic), onIndexed: () => this.tails.wake(),
      onFatal: (error) => {
        this.appender.fail(error);
        this.tails.wake();
      },
    });
  }

  /**
   * Acknowledged by Kafka, then read back into the index: only there is it known whether the id stood in the stream
   * before, written by whomever, with another payload.
   */
  async append(events: readonly Event[]): Promise<void> {
    for (const { id } of events) {
      if (!ID_HEX.test(id)) throw new StemmaError('log', 'INVALID', `"${id}" is no event id`, 'Ids are 32 hex digits (eventId).');
    }
    this.feed.assertAlive();
    const landed = await this.appender.append(events);
    await this.indexed(landed);
    for (const { partition, offset } of landed) {
      const refusal = this.feed.refusal(partition, offset);
      if (refusal) throw refusal;
    }
    if (events.some(({ payload }) => ENDS.has(payload?.$case ?? ''))) await this.options.onEnd();
  }

  async readStream(stream: string, fromPosition = 0): Promise<readonly StoredEvent[]> {
    await this.feed.caughtUp(partitionOf(stream, this.options.partitions));
    return this.options.index.readStream(stream, fromPosition);
  }

  async *tail(cursor: string, signal: StopSignal): AsyncIterable<TailBatch> {
    const { index, partitions } = this.options;
    const next = parseCursor(cursor, partitions);
    signal.addEventListener('abort', () => this.tails.wake());
    while (!signal.aborted && !this.closed) {
      let found = false;
      for (let partition = 0; partition < partitions && !signal.aborted && !this.closed; partition += 1) {
        const page = index.page(partition, next[partition]!);
        if (page.events.length === 0) continue;
        found = true;
        next[partition] = page.next;
        yield { events: page.events, cursor: next.join('.') };
      }
      if (found) continue;
      this.feed.assertAlive();
      await this.tails.news();
    }
  }

  /** What was asked for is sent first. Ends its tails. */
  close(): Promise<void> {
    this.closed ??= this.shut();
    return this.closed;
  }

  private async shut(): Promise<void> {
    // After this turn, so that `closed` is set when tails look.
    await Promise.resolve();
    this.tails.wake();
    await this.appender.close();
    await Promise.allSettled([...this.verifying]);
    await this.feed.close();
    this.options.index.close();
  }

  private async indexed(landed: readonly Landed[]): Promise<void> {
    const last = new Map<number, number>();
    for (const { partition, offset } of landed) last.set(partition, Math.max(offset, last.get(partition) ?? 0));
    const all = Promise.all([...last].map(([partition, offset]) => this.feed.reached(partition, offset + 1)));
    this.verifying.add(all);
    await all.finally(() => this.verifying.delete(all));
  }
}

/** The next offset of each partition, joined by dots. */
function parseCursor(cursor: string, partitions: number): number[] {
  if (cursor === '') return Array.from({ length: partitions }, () => 0);
  if (/^\d{1,12}(\.\d{1,12})*$/.test(cursor)) {
    const next = cursor.split('.').map(Number);
    if (next.length === partitions) return next;
  }
  throw new StemmaError('log', 'INVALID', `"${cursor}" is no cursor of this log`, 'Resume from a cursor that this log gave, or from the start.');
}
