// Events of made-up episodes, as a run writes them: what the benchmarks append, read and fold.
import { newEvent } from '../../dist/services/runtime/new-event.js';

export const RUN = 'bench';

const tokens = new Uint8Array(4 * 24).fill(7);
const logprobs = new Uint8Array(4 * 24).fill(9);
const observation = new Uint8Array(4 * 16).fill(5);
const recordJson = JSON.stringify({ state: [], action: { kind: 'tool', name: 'search', arguments: ['a', 'b'] }, observation: 'page 7 says b', verifier: null });

/** One episode of `turns` turns: 3 + 2·turns events. */
export function episodeEvents(episode, turns, stage = 'rl') {
  const stream = `episode/${RUN}/${episode}`;
  const claim = `claim-of-${episode}`;
  const events = [newEvent({ stream, run: RUN, claim: '', seq: 0 }, { $case: 'claimed', value: { role: 'rollout', claimId: claim, holder: 'bench' } })];
  const add = (payload) => events.push(newEvent({ stream, run: RUN, claim, seq: events.length }, payload));
  add({ $case: 'attemptStarted', value: { attempt: 1, stage, domain: 'search', task: 'search/train/2-hop/17', weightsHash: 'w'.repeat(64), seed: 7n, greedy: false, protocol: '', promptTokens: tokens } });
  for (let turn = 0; turn < turns; turn += 1) {
    add({ $case: 'turnSampled', value: { attempt: 1, turn, tokens, logprobs, weightsHash: 'w'.repeat(64), finish: 'stop' } });
    add({ $case: 'observationRecorded', value: { attempt: 1, turn, tokens: turn === turns - 1 ? new Uint8Array(0) : observation, recordJson } });
  }
  add({ $case: 'episodeEnded', value: { attempt: 1, status: 'completed', correct: true, reward: 1, components: [{ name: 'correct', value: 1 }], rubrics: [], turns, generatedTokens: 24 * turns, detail: 'x' } });
  return events;
}

/** A step of a stage over these episodes: its request, its batch, its commit, its snapshot. */
export function stepEvents(stage, claim, step, episodes) {
  const stream = `stage/${RUN}/${stage}`;
  const hash = (name) => `${name}-${step}`.padEnd(64, '0');
  const ref = { sha256: hash('blob'), length: 1000n };
  return [
    { $case: 'episodesRequested', value: { step, round: 0, purpose: 'train', weightsHash: hash('w'), weights: undefined, greedy: false, temperature: 1, protocol: '', episodes: episodes.map((episode, sample) => ({ episode, domain: 'search', task: `search/train/2-hop/${step}`, sample, seed: BigInt(sample) })) } },
    { $case: 'batchClosed', value: { step, batchId: hash('batch'), batch: ref, members: episodes.map((member) => ({ member, pass: 0, domain: 'search', reward: 1, advantage: 0.5, trainableTokens: 200 })), settingsJson: '{}', settingsHash: hash('settings'), policyWeightsHashes: [hash('w')], teacherWeightsHashes: {} } },
    { $case: 'stepCommitted', value: { step, batchId: hash('batch'), parentStateHash: hash('p'), stateHash: hash('s'), weightsHash: hash('w'), stats: Array.from({ length: 20 }, (_, i) => ({ name: `figure-${i}`, sum: i, count: 1 })), spent: { wallSeconds: 1, computeSeconds: 1, waitingSeconds: 0 } } },
    { $case: 'snapshotTaken', value: { step, stateHash: hash('s'), weightsHash: hash('w'), snapshot: ref } },
  ].map((payload, index) => newEvent({ stream, run: RUN, claim, seq: 4 * (step - 1) + index + 1 }, payload));
}

export const claimOf = (stage, claim) => newEvent({ stream: `stage/${RUN}/${stage}`, run: RUN, claim: '', seq: 0 }, { $case: 'claimed', value: { role: 'planner', claimId: claim, holder: 'bench' } });

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}
