/**
 * A log in memory that keeps order per stream and nothing else: no dropping of duplicates, as a Kafka partition.
 * What it promises is what the claim protocol may rely on.
 */
import type { EventLog, StoredEvent } from '../../core/ports.js';
import type { Event } from '../../proto/gen/stemma/v1/events.js';

export interface RawLog extends EventLog {
  readonly streams: ReadonlyMap<string, readonly Event[]>;
  /** What the network does when it delivers. */
  land(event: Event): void;
}

export function rawLog(): RawLog {
  const streams = new Map<string, Event[]>();
  const land = (event: Event): void => {
    streams.set(event.stream, [...(streams.get(event.stream) ?? []), event]);
  };
  return {
    streams,
    land,
    append: (events) => Promise.resolve(events.forEach(land)),
    readStream: (stream, from = 0) => Promise.resolve(stored(streams.get(stream) ?? []).slice(from)),
    tail: () => { throw new Error('a raw log has no tail'); },
    close: () => Promise.resolve(),
  };
}

export function stored(events: readonly Event[]): StoredEvent[] {
  return events.map((event, position) => ({ position, event }));
}
