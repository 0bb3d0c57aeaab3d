/**
 * Reading a stream: state = fold(events in stream order). A function of stream order only, so every reader of the
 * same prefix has the same state.
 *
 *   id seen before        → dropped (at least once delivered, once in meaning)
 *   not the current claim → ignored (a zombie's)
 *   otherwise             → evolve; a seq that is not the claim's next one is reported as a gap, and the event still counts
 */
import type { Event } from '../../proto/gen/stemma/v1/events.js';
import { StemmaError } from '../errors.js';
import type { StoredEvent } from '../ports.js';
import { counts, takeClaim, type Claims } from './claims.js';
import { IdSet } from './id-set.js';
import type { Payload } from './keys.js';
import { upcast } from './upcast.js';

export type { Payload } from './keys.js';

export interface Fold<S> {
  initial(): S;
  /** May mutate and return the state it was given: the fold owns it. */
  evolve(state: S, payload: Payload, event: Event): S;
}

/** An event whose seq is not one more than its claim's last: acknowledged facts are missing before it. */
export interface SeqGap {
  readonly eventId: string;
  readonly claim: string;
  readonly expectedSeq: number;
  readonly foundSeq: number;
}

export interface Folded<S> {
  readonly state: S;
  readonly claims: Claims;
  /** Where the next event of the stream will stand: one past the last stored event folded. */
  readonly nextPosition: number;
  readonly gaps: readonly SeqGap[];
  /** Dropped because their id had been folded. */
  readonly duplicates: number;
  /** Ignored because their claim was not current. */
  readonly zombies: number;
}

/** A fold that goes on: the state so far and what is needed to judge the next event. */
export interface OpenFold<S> extends Folded<S> {
  has(id: string): boolean;
  /** From now on `state` is the caller's own, who evolves it: what is added is remembered and no more. */
  release(): S;
  /** True if the event was evolved. `position` is absent for an event known to be in the log but not where. */
  add(event: Event, position?: number): boolean;
}

/** Ids of the events folded so far. */
interface Seen {
  has(id: string): boolean;
  add(id: string): unknown;
}

/** `seen`: a fold that stays open holds its ids outside the heap; one that is over at once is faster with a Set. */
export function openFold<S>(fold: Fold<S>, seen: Seen = new IdSet()): OpenFold<S> {
  const claims = new Map<string, string>();
  const lastSeqs = new Map<string, number>();
  const gaps: SeqGap[] = [];
  let released = false;
  const open = {
    state: fold.initial(), claims, gaps, nextPosition: 0, duplicates: 0, zombies: 0,
    has: (id: string) => seen.has(id),
    release(): S {
      released = true;
      return open.state;
    },
    add(written: Event, position?: number): boolean {
      const event = upcast(written);
      if (position !== undefined) open.nextPosition = Math.max(open.nextPosition, position + 1);
      const payload = event.payload;
      if (!payload) throw unreadable(event);
      if (seen.has(event.id)) {
        open.duplicates += 1;
        return false;
      }
      seen.add(event.id);
      if (payload.$case === 'claimed') takeClaim(claims, payload.value);
      if (!counts(claims, event)) {
        open.zombies += 1;
        return false;
      }
      if (event.claim !== '') noteSeq(lastSeqs, gaps, event);
      if (!released) open.state = fold.evolve(open.state, payload, event);
      return true;
    },
  };
  return open;
}

export function foldStream<S>(fold: Fold<S>, stored: Iterable<StoredEvent>): Folded<S> {
  const open = openFold(fold, new Set<string>());
  for (const { event, position } of stored) open.add(event, position);
  return open;
}

function noteSeq(lastSeqs: Map<string, number>, gaps: SeqGap[], event: Event): void {
  const expectedSeq = (lastSeqs.get(event.claim) ?? 0) + 1;
  if (event.seq !== expectedSeq) gaps.push({ eventId: event.id, claim: event.claim, expectedSeq, foundSeq: event.seq });
  lastSeqs.set(event.claim, event.seq);
}

/** An empty oneof is a payload that a newer version wrote: leaving it out would silently change the state. */
function unreadable(event: Event): StemmaError {
  return new StemmaError('log', 'UNSUPPORTED', `event ${event.id} of ${event.stream} has a payload this version does not know`,
    'A newer version wrote this run: read it with that version.');
}
