/** Small facts for tests of the log: an episode whose history is its turns. */
import type { Fold, Payload } from '../../core/log/fold.js';
import type { Event } from '../../proto/gen/stemma/v1/events.js';
import { newEvent } from '../../services/runtime/new-event.js';

export const RUN = 'r1';
export const EPISODE = `episode/${RUN}/e1`;

export function turn(number: number, note = '', bytes = 8): Payload {
  return {
    $case: 'turnSampled',
    value: {
      attempt: 1, turn: number, tokens: new Uint8Array(bytes).fill(number % 251), logprobs: new Uint8Array(bytes).fill(7),
      weightsHash: note, finish: 'stop', changedWeights: undefined,
    },
  };
}

export function turnEvent(stream: string, claim: string, number: number, note = ''): Event {
  return newEvent({ stream, run: RUN, claim, seq: number + 1 }, turn(number, note));
}

export function claimEvent(stream: string, claimId: string, role = 'rollout'): Event {
  return newEvent({ stream, run: RUN, claim: '', seq: 0 }, { $case: 'claimed', value: { role, claimId, holder: claimId } });
}

/** Turns as `number:note`, in the order in which they count. */
export const historyFold: Fold<string[]> = {
  initial: () => [],
  evolve(state, payload) {
    if (payload.$case === 'turnSampled') state.push(`${payload.value.turn}:${payload.value.weightsHash}`);
    return state;
  },
};
