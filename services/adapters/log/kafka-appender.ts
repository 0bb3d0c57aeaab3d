/**
 * Batches appends for one producer: what arrives while a batch is on its way makes up the next one.
 *
 * Memory: events wait as their callers hold them and are encoded only into the batch that leaves next, so that a
 * caller that does not wait costs no more than what it passed in.
 * A producer whose send failed is thrown away: after OUT_OF_ORDER_SEQUENCE_NUMBER, UNKNOWN_PRODUCER_ID or a lost
 * connection kafkajs's sequence numbers are not to be trusted. The batch is sent again by a new one; where the first
 * copy had landed, the second is dropped by event id in the index.
 */
import { setImmediate as nextTick, setTimeout as delay } from 'node:timers/promises';
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import type { StemmaError } from '../../../core/errors.js';
import { Event } from '../../../proto/gen/stemma/v1/events.js';
import type { KafkaProducer, OutMessage } from './kafka-client.js';
import { kafkaError, logClosed } from './kafka-errors.js';
import { partitionOf } from './kafka-partition.js';

/** Below the 1 MiB that a broker takes as one batch of a partition. */
const BATCH_BYTES = 768 * 1024;
/** Around each message: offsets, lengths, its key. */
const MESSAGE_OVERHEAD_BYTES = 100;
const PATIENCE_MS = 60_000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;

/** Where an event was acknowledged. */
export interface Landed {
  readonly partition: number;
  readonly offset: number;
}

interface Append {
  readonly events: readonly Event[];
  readonly landed: Landed[];
  readonly giveUpAt: number;
  readonly resolve: (landed: readonly Landed[]) => void;
  readonly reject: (error: StemmaError) => void;
  taken: number;
  failed: boolean;
}

interface Batch {
  readonly messages: readonly OutMessage[];
  /** Of each message. */
  readonly appends: readonly Append[];
}

export interface AppenderOptions {
  readonly topic: string;
  readonly partitions: number;
  readonly openProducer: () => Promise<KafkaProducer>;
}

export class KafkaAppender {
  private readonly queue: Append[] = [];
  private producer: KafkaProducer | null = null;
  private pumping: Promise<void> | null = null;
  private fatal: StemmaError | null = null;
  private closing = false;

  constructor(private readonly options: AppenderOptions) {}

  /** Resolves when all in-sync replicas have the events. UNAVAILABLE: they may have landed or not. */
  append(events: readonly Event[]): Promise<readonly Landed[]> {
    const refusal = this.fatal ?? (this.closing ? logClosed() : null);
    if (refusal) return Promise.reject(refusal);
    if (events.length === 0) return Promise.resolve([]);
    return new Promise((resolve, reject) => {
      this.queue.push({ events, landed: [], giveUpAt: performance.now() + PATIENCE_MS, resolve, reject, taken: 0, failed: false });
      this.pumping ??= this.pump().finally(() => { this.pumping = null; });
    });
  }

  /** Appends fail from now on, also those that wait. */
  fail(error: StemmaError): void {
    this.fatal ??= error;
  }

  /** Sends what is queued first. */
  async close(): Promise<void> {
    this.closing = true;
    await this.pumping;
    await this.dropProducer();
  }

  private async pump(): Promise<void> {
    // What is appended in one turn of the event loop leaves together.
    await nextTick();
    for (let batch = this.take(); batch !== null; batch = this.take()) await this.deliver(batch);
  }

  private take(): Batch | null {
    const wire = new BinaryWriter();
    const messages: OutMessage[] = [];
    const appends: Append[] = [];
    let bytes = 0;
    while (this.queue.length > 0) {
      const append = this.queue[0]!;
      while (!append.failed && append.taken < append.events.length) {
        const event = append.events[append.taken]!;
        const value = Event.encode(event, wire).finish();
        const size = value.length + event.stream.length + MESSAGE_OVERHEAD_BYTES;
        if (messages.length > 0 && bytes + size > BATCH_BYTES) return { messages, appends };
        messages.push({ partition: partitionOf(event.stream, this.options.partitions), key: event.stream, value });
        appends.push(append);
        bytes += size;
        append.taken += 1;
      }
      this.queue.shift();
    }
    return messages.length === 0 ? null : { messages, appends };
  }

  private async deliver(batch: Batch): Promise<void> {
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(LONGEST_PAUSE_MS, 2 * pause)) {
      try {
        if (this.fatal) throw this.fatal;
        this.producer ??= await this.options.openProducer();
        settle(batch, await this.producer.send(this.options.topic, batch.messages));
        return;
      } catch (error) {
        await this.dropProducer();
        const failed = kafkaError(error, []);
        const due = new Set(batch.appends.filter((append) => !append.failed && (this.isFinal(failed) || performance.now() > append.giveUpAt)));
        for (const append of due) {
          append.failed = true;
          append.reject(failed);
        }
        if (batch.appends.every((append) => append.failed)) return;
        await delay(pause);
      }
    }
  }

  /** A topic may be unknown to a broker that has just started: whether it is gone for good says `fail`. */
  private isFinal(error: StemmaError): boolean {
    return this.fatal !== null || (!error.retriable && error.code !== 'NOT_FOUND');
  }

  private async dropProducer(): Promise<void> {
    const { producer } = this;
    this.producer = null;
    await producer?.close().catch(() => undefined);
  }
}

function settle({ messages, appends }: Batch, first: ReadonlyMap<number, number>): void {
  const next = new Map(first);
  messages.forEach(({ partition }, at) => {
    const offset = next.get(partition)!;
    next.set(partition, offset + 1);
    const append = appends[at]!;
    append.landed.push({ partition, offset });
    if (append.landed.length === append.events.length && !append.failed) append.resolve(append.landed);
  });
}
