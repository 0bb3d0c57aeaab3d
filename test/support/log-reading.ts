/** Reading a log in tests. */
import type { EventLog, StoredEvent } from '../../core/ports.js';
import type { Event } from '../../proto/gen/stemma/v1/events.js';
import { turnEvent } from './log-events.js';

export const CLAIM = 'claim-1';
/** Turns [from, to) of one claim. */
export const turns = (stream: string, from: number, to: number): Event[] =>
  Array.from({ length: to - from }, (_, index) => turnEvent(stream, CLAIM, from + index));

export const ids = (events: readonly (Event | StoredEvent)[]): string[] => events.map((each) => ('event' in each ? each.event.id : each.id));

/** Tails until `enough` events are there that the reader has not seen. */
export async function collect(
  log: EventLog, cursor: string, enough: number, onBatch?: () => Promise<void>,
): Promise<{ events: StoredEvent[]; cursor: string }> {
  const stop = new AbortController();
  const seen = new Map<string, StoredEvent>();
  let last = cursor;
  for await (const batch of log.tail(cursor, stop.signal)) {
    for (const each of batch.events) seen.set(`${each.event.stream} ${each.position}`, each);
    last = batch.cursor;
    await onBatch?.();
    if (seen.size >= enough) stop.abort();
  }
  return { events: [...seen.values()], cursor: last };
}

/** Ids of one stream's events, in stream order. */
export const ofStream = (events: readonly StoredEvent[], stream: string): string[] =>
  ids(events.filter(({ event }) => event.stream === stream).sort((a, b) => a.position - b.position));
