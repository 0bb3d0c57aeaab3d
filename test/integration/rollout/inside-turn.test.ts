/** Weights that change inside turns, with the real sidecar: every token is of the weights that its span names, given all before it. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { unpackF32 } from '../../../core/log/bytes.js';
import { ScoreTable } from '../../../proto/gen/stemma/v1/data.js';
import type { BlobRef, EpisodesRequested } from '../../../proto/gen/stemma/v1/events.js';
import { patientSampler } from '../../../services/rollout/patient-sampler.js';
import type { SampledTurn } from '../../../services/rollout/turn-parts.js';
import { sampleWithNewest } from '../../../services/rollout/turn-sampler.js';
import { describeWithSidecar, openRealSidecar, type RealSidecar } from '../../support/real-sidecar.js';

const PROMPT = [5, 6, 7];
const TURNS = 6;

describeWithSidecar('turns inside which weights change', () => {
  let sidecar: RealSidecar;
  let models: { weightsHash: string; weights: BlobRef }[];
  beforeAll(async () => {
    sidecar = await openRealSidecar();
    models = [await sidecar.model(1n), await sidecar.model(2n)];
    for (const { weightsHash, weights } of models) await sidecar.sampler.loadWeights(weightsHash, weights);
  });
  afterAll(() => (sidecar as RealSidecar | undefined)?.close());

  /** New weights are published after so many looks. */
  async function sampleOver(looksBefore: number): Promise<SampledTurn[]> {
    let looks = 0;
    const look = () => Promise.resolve({ published: models[(looks += 1) > looksBefore ? 1 : 0]! });
    const patient = patientSampler(sidecar.sampler, undefined, { withinMs: 1000, onRetry: () => undefined });
    const sampler = sampleWithNewest(patient, models[0] as unknown as EpisodesRequested, { look, inFlight: 'inside-turn' });
    return Promise.all(Array.from({ length: TURNS }, (_, i) => sampler.sample({
      tokens: Uint32Array.from(PROMPT), maxNewTokens: 120, stopTokenIds: [], seed: BigInt(i), greedy: false, temperature: 1, bannedTokenIds: [],
    })));
  }

  /** Its log-probabilities by teacher forcing, each by the weights of its span. */
  async function forced(turn: SampledTurn): Promise<number[]> {
    const tokens = Uint32Array.of(...PROMPT, ...turn.tokens);
    let start = PROMPT.length;
    const logprobs: number[] = [];
    for (const { weightsHash, tokens: length } of turn.spans) {
      const positions = Uint32Array.from({ length }, (_, i) => start + i);
      const blob = await sidecar.scorer.score({ weightsHash, topK: 0, validVocabulary: 0, bannedTokenIds: [], samples: [{ tokens, positions }] });
      logprobs.push(...unpackF32(ScoreTable.decode(await sidecar.blobs.get(blob)).rows[0]!.givenLogprobs));
      start += length;
    }
    return logprobs;
  }

  test('each token has the log-probability that its own weights give it after the whole context', async () => {
    // How many tokens fit between two looks is the machine's: later and later, until a change falls inside a turn.
    let turns: SampledTurn[] = [];
    for (let looks = TURNS + 1; !turns.some(({ spans }) => spans.length === 2); looks += 2) turns = await sampleOver(looks);
    for (const turn of turns) {
      expect(turn.tokens.length).toBe(120);
      expect(turn.spans.reduce((sum, { tokens }) => sum + tokens, 0)).toBe(120);
      expect(turn.spans.map(({ weightsHash }) => weightsHash)).toEqual([...new Set(turn.spans.map(({ weightsHash }) => weightsHash))]);
      const expected = await forced(turn);
      turn.logprobs.forEach((logprob, t) => expect(logprob).toBeCloseTo(expected[t]!, 4));
    }
  });
});
