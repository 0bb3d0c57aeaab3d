/** Facts that need no claim, and reading a stream's state. */
import { StemmaError } from '../../core/errors.js';
import { foldStream, type Fold, type Folded, type OpenFold } from '../../core/log/fold.js';
import { roleOf, type Payload } from '../../core/log/keys.js';
import type { EventLog } from '../../core/ports.js';
import { newEvent } from './new-event.js';

export interface FactPlace {
  readonly stream: string;
  readonly run: string;
  /** Id of the event that caused this fact. */
  readonly causationId?: string;
}

/**
 * Durable when it resolves; safe to repeat, for the natural key makes it one fact.
 * HASH_MISMATCH if the log holds another payload under this key; INVALID for a payload that a claim must write.
 */
export async function recordFact(log: EventLog, place: FactPlace, payload: Payload): Promise<void> {
  const role = roleOf(payload);
  if (role !== null) {
    throw new StemmaError('log', 'INVALID', `${payload.$case} is written by the role ${role}`, 'Claim the stream and record it there.');
  }
  await log.append([newEvent({ ...place, claim: '', seq: 0 }, payload)]);
}

/** The state of a stream, every append acknowledged before the call included. Holds no claim: it may be old at once. */
export async function readFold<S>(log: EventLog, stream: string, fold: Fold<S>): Promise<Folded<S>> {
  return foldStream(fold, await log.readStream(stream));
}

/** Adds to `folded` what its stream has gained since. False if there was nothing. */
export async function readOn<S>(log: EventLog, stream: string, folded: OpenFold<S>): Promise<boolean> {
  const news = await log.readStream(stream, folded.nextPosition);
  for (const { event, position } of news) folded.add(event, position);
  return news.length > 0;
}
