/** What any scorer must do, held against the real sidecar. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { unpackF32, unpackU32 } from '../../core/log/bytes.js';
import type { ScoreInput } from '../../core/ports.js';
import { ScoreTable } from '../../proto/gen/stemma/v1/data.js';
import { VOCABULARY_SIZE, describeWithSidecar, openRealSidecar, type RealSidecar } from '../support/real-sidecar.js';

describeWithSidecar('scorer: sidecar', () => {
  let sidecar: RealSidecar;
  let weightsHash: string;
  const samples = [
    { tokens: Uint32Array.of(5, 6, 7, 8, 9), positions: Uint32Array.of(1, 3, 4) },
    { tokens: Uint32Array.of(1, 2), positions: Uint32Array.of(1) },
  ];
  const ask = (change: Partial<ScoreInput> = {}): ScoreInput => ({ weightsHash, topK: 4, validVocabulary: 0, bannedTokenIds: [], samples, ...change });
  const score = async (change: Partial<ScoreInput> = {}): Promise<ScoreTable> =>
    ScoreTable.decode(await sidecar.blobs.get(await sidecar.scorer.score(ask(change))));

  beforeAll(async () => {
    sidecar = await openRealSidecar();
    const model = await sidecar.model(1n);
    weightsHash = model.weightsHash;
    await sidecar.scorer.loadWeights(weightsHash, model.weights);
  });
  afterAll(() => (sidecar as RealSidecar | undefined)?.close());

  test('one row a sample in order, k values a position, best first', async () => {
    const table = await score();
    expect(table).toMatchObject({ scorerWeightsHash: weightsHash, topK: 4 });
    expect(table.rows.map(({ positions }) => [...unpackU32(positions)])).toEqual([[1, 3, 4], [1]]);
    const values = unpackF32(table.rows[0]!.values);
    expect([values.length, unpackU32(table.rows[0]!.ids).length, unpackF32(table.rows[0]!.mass).length]).toEqual([12, 12, 3]);
    for (const start of [0, 4, 8]) expect([...values.slice(start, start + 4)]).toEqual([...values.slice(start, start + 4)].sort((a, b) => b - a));
  });

  test('the mass is what the k probabilities sum to; with k = V it is 1', async () => {
    const { rows } = await score();
    const values = unpackF32(rows[0]!.values);
    unpackF32(rows[0]!.mass).forEach((mass, position) => {
      const sum = values.slice(4 * position, 4 * position + 4).reduce((total, value) => total + Math.exp(value), 0);
      expect(mass).toBeCloseTo(sum, 5);
    });
    const whole = await score({ topK: VOCABULARY_SIZE });
    for (const mass of unpackF32(whole.rows[0]!.mass)) expect(mass).toBeCloseTo(1, 5);
  });

  test('a pure function: the same blob again; k = 0 gives the sampler\'s log-probabilities', async () => {
    expect(await sidecar.scorer.score(ask())).toEqual(await sidecar.scorer.score(ask()));
    const prefix = Uint32Array.of(5, 6, 7);
    const sampled = await sidecar.sampler.sample({
      weightsHash, tokens: prefix, maxNewTokens: 5, stopTokenIds: [], seed: 3n, greedy: false, temperature: 1, bannedTokenIds: [],
    });
    const tokens = Uint32Array.of(...prefix, ...sampled.tokens);
    const { rows } = await score({ topK: 0, samples: [{ tokens, positions: Uint32Array.of(3, 4, 5, 6, 7) }] });
    unpackF32(rows[0]!.givenLogprobs).forEach((logprob, index) => expect(logprob).toBeCloseTo(sampled.logprobs[index]!, 4));
    expect(rows[0]!.ids.length).toBe(0);
  });

  test('neighbours in the chunk change nothing, bit for bit', async () => {
    const [together, alone] = [await score(), await score({ samples: [samples[1]!] })];
    expect(together.rows[1]).toEqual(alone.rows[0]);
  });

  test('ids outside the valid vocabulary and banned ones are never among the top k', async () => {
    const { rows } = await score({ topK: 8, validVocabulary: 20, bannedTokenIds: [3, 4] });
    for (const row of rows) for (const id of unpackU32(row.ids)) expect(id < 20 && id !== 3 && id !== 4).toBe(true);
  });

  test('a sample with nothing generated has an empty row', async () => {
    const { rows } = await score({ samples: [samples[0]!, { tokens: Uint32Array.of(1, 2), positions: new Uint32Array(0) }] });
    expect(rows.map(({ positions }) => positions.length)).toEqual([12, 0]);
  });

  test('unknown weights and impossible positions are refused in our words', async () => {
    await expect(sidecar.scorer.score(ask({ weightsHash: 'unknown' }))).rejects.toMatchObject({ boundary: 'scorer', code: 'WEIGHTS_NOT_LOADED', retriable: true });
    for (const positions of [Uint32Array.of(0), Uint32Array.of(5)]) {
      await expect(sidecar.scorer.score(ask({ samples: [{ tokens: samples[0]!.tokens, positions }] }))).rejects.toMatchObject({ code: 'INVALID' });
    }
  });
});
