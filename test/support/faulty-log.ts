/**
 * A log made worse within what its port allows: streams of one append land in any order and apart, appends are delayed
 * and sent twice (old ones again, later), and a tail delivers batches again.
 */
import { setImmediate as nextTick } from 'node:timers/promises';
import type { EventLog, StopSignal, TailBatch } from '../../core/ports.js';
import type { Event } from '../../proto/gen/stemma/v1/events.js';
import { diceOf, unit } from './random.js';

export function faultyLog(inner: EventLog, seed: number): EventLog {
  const dice = diceOf(seed);
  const random = (): number => unit(dice);
  const sent: (readonly Event[])[] = [];
  const below = (n: number): number => Math.floor(random() * n);

  async function deliver(events: readonly Event[]): Promise<void> {
    for (let ticks = below(4); ticks > 0; ticks -= 1) await nextTick();
    await inner.append(events);
    if (random() < 0.5) await inner.append(events);
    sent.push(events);
    if (random() < 0.3) await inner.append(sent[below(sent.length)]!);
  }

  return {
    ...inner,
    async append(events) {
      const streams = [...new Set(events.map((event) => event.stream))];
      const groups = streams.map((stream) => events.filter((event) => event.stream === stream));
      groups.sort(() => random() - 0.5);
      await Promise.all(groups.map(deliver));
    },
    async *tail(cursor: string, signal: StopSignal): AsyncIterable<TailBatch> {
      for await (const batch of inner.tail(cursor, signal)) {
        yield batch;
        if (random() < 0.5) yield batch;
      }
    },
  };
}
