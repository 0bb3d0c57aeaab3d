/**
 * Which weights and snapshots of a stage nobody needs any more: what they hold is folded again from the stage's parent weights and its
 * batches, which stay. A function of the log: that one was removed is nothing anybody has to record (docs/decisions/blobs-and-gc.md).
 */
import type { Payload } from '../log/keys.js';

export interface Retention {
  /** Newest snapshots and publications that a stage keeps until it is finished: from 2, for the newest may be torn. */
  readonly keepLast: number;
  /** Steps whose multiples stay for good, so that a fork there is quick; 0: none. */
  readonly keepEvery: number;
}

export const LEAST_RETENTION: Retention = { keepLast: 2, keepEvery: 0 };

export interface StageStanding {
  readonly finished: boolean;
  /** Steps. */
  readonly committed: number;
  /** Steps of its snapshots. */
  readonly snapshots: ReadonlySet<number>;
  /** Of a fork in its forked stage: the last step it shares. What the parent's weights and snapshots were may be gone; it folds without them. */
  readonly shared: number;
}

/** Whether the blobs that this fact of a stage stream names may be missing. */
export function isSuperseded(fact: Payload | undefined, standing: StageStanding, retention: Retention): boolean {
  switch (fact?.$case) {
    case 'snapshotTaken': case 'policyPublished': return isPast(fact.value.step, fact.$case, standing, retention);
    // A shard that is taken over needs the weights of its request until its step is committed.
    case 'episodesRequested': return standing.finished || (fact.value.step > 0 && fact.value.step <= standing.committed);
    default: return false;
  }
}

function isPast(step: number, kind: 'snapshotTaken' | 'policyPublished', { finished, committed, snapshots, shared }: StageStanding, { keepLast, keepEvery }: Retention): boolean {
  if (keepEvery > 0 && step % keepEvery === 0) return false;
  if (finished || step <= shared) return true;
  if (kind === 'policyPublished') return step <= committed - keepLast;
  return [...snapshots].filter((newer) => newer > step && newer <= committed).length >= keepLast;
}
