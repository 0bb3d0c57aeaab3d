/**
 * What a worker keeps of an episode that it runs: of a turn, not what only learners and readers ask for. With many in flight
 * that is most of the memory; the log has it all.
 */
import { episodeFold, type EpisodeState } from '../../core/episode/episode.js';
import type { Fold, Payload } from '../../core/log/fold.js';

export const runningFold: Fold<EpisodeState> = {
  initial: episodeFold.initial,
  evolve: (state, payload, event) => episodeFold.evolve(state, kept(payload), event),
};

const NONE = new Uint8Array(0);

function kept(payload: Payload): Payload {
  switch (payload.$case) {
    case 'turnSampled': return { $case: 'turnSampled', value: { ...payload.value, tokens: pooled(payload.value.tokens), logprobs: NONE } };
    case 'observationRecorded': return { $case: 'observationRecorded', value: { ...payload.value, tokens: pooled(payload.value.tokens), recordJson: '' } };
    default: return payload;
  }
}

/** A few bytes share a buffer with those of others: one of their own weighs five times as much. */
function pooled(bytes: Uint8Array): Uint8Array {
  return Buffer.from(bytes);
}
