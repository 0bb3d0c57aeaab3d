import { describe, expect, it } from 'vitest';
import type { Trainable } from '../../../../core/batch/batch.js';
import { closeDistillBatch } from '../../../../core/batch/distill.js';
import { closeRlBatch, type RlMember } from '../../../../core/batch/rl.js';
import { closeSftBatch } from '../../../../core/batch/sft.js';
import { unpackF32, unpackU32 } from '../../../../core/log/bytes.js';
import type { DistillStageRecipe, RlStageRecipe, SftStageRecipe } from '../../../../core/recipe/recipe.js';
import { Batch, type Sample } from '../../../../proto/gen/stemma/v1/data.js';
import { loadRecipe } from '../../../../services/runtime/recipe-schema.js';

const recipe = await loadRecipe('micro');
const stage = <S>(kind: string): S => recipe.stages.find((s) => s.kind === kind) as S;
const sample = (member: string, mask: readonly number[], domain = 'search'): Trainable => ({
  member, domain, tokens: Uint32Array.from(mask, (_, i) => i + 10), mask: Uint8Array.from(mask),
});
const weights = (s: Sample | undefined): number[] => [...unpackF32(s?.terms[0]?.weights ?? new Uint8Array())];
const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

describe('closing a batch', () => {
  it('SFT: weights lie on trainable tokens only, the first token never trains, and they sum to one', () => {
    const { batch, members } = closeSftBatch([
      { ...sample('a', [1, 0, 1, 1]), pass: 0 }, { ...sample('b', [0, 1]), pass: 1 }, { ...sample('none', [0, 0, 0]), pass: 0 },
    ], stage<SftStageRecipe>('sft'));
    expect(weights(batch.samples[0])).toEqual([0, 0, 0.25, 0.25]);
    expect(weights(batch.samples[1])).toEqual([0, 0.5]);
    expect(weights(batch.samples[2])).toEqual([0, 0, 0]);
    expect(members.map((m) => [m.member, m.pass, m.trainableTokens])).toEqual([['a', 0, 2], ['b', 1, 1], ['none', 0, 0]]);
    expect(batch.rows.flatMap((row) => row.samples).sort()).toEqual([0, 1, 2]);
    expect([...unpackU32(batch.samples[0]?.tokens ?? new Uint8Array())]).toEqual([10, 11, 12, 13]);
  });

  it('RL: the group\'s advantage on every generated token, with the sampler\'s log-probabilities', () => {
    const member = (name: string, reward: number): RlMember => ({
      ...sample(name, [0, 1, 1]), reward, correct: reward > 0, process: 0,
      logprobs: Float32Array.from([0, -1, -2]), referenceLogprobs: Float32Array.from([0, -1.5, -2.5]),
    });
    const { batch, members } = closeRlBatch([[member('x', 1), member('y', 0)]], stage<RlStageRecipe>('rl'));
    const term = batch.samples[0]?.terms[0]?.kind;
    if (term?.$case !== 'policyGradient') throw new Error('not a policy gradient');
    const advantages = [...unpackF32(term.value.advantages)];
    expect(advantages[0]).toBe(0);
    expect(advantages[1]).toBeCloseTo(Math.SQRT1_2, 4);
    expect(members.map((m) => Math.sign(m.advantage))).toEqual([1, -1]);
    expect(sum(weights(batch.samples[0])) + sum(weights(batch.samples[1]))).toBeCloseTo(1, 6);
    expect([...unpackF32(term.value.referenceLogprobs)]).toEqual([0, -1.5, -2.5]);
  });

  it('RL: a stale token has its weight in a term of its own, with a cap; without stale ones the batch is as it was', () => {
    const member = (name: string, stale?: number[]): RlMember => ({
      ...sample(name, [0, 1, 1]), reward: 1, correct: true, process: 0,
      logprobs: Float32Array.from([0, -1, -2]), referenceLogprobs: new Float32Array(), stale: stale && Uint8Array.from(stale),
    });
    const recipe = { ...stage<RlStageRecipe>('rl'), asynchronous: { maxStaleness: 0, ahead: 1, onStale: 'weight', inFlight: 'between-turns' } as const };
    const terms = ({ samples }: Batch) => samples.map((of) => of.terms.map(({ weights, kind }) => {
      const cap = kind?.$case === 'policyGradient' ? kind.value.importanceCap : undefined;
      return { weights: [...unpackF32(weights)], cap };
    }));
    const group = (...stale: (number[] | undefined)[]) => closeRlBatch([stale.map((each, i) => member(`m${i}`, each))], recipe).batch;
    const [partly, wholly, fresh] = terms(group([0, 0, 1], [0, 1, 1], undefined));
    const w = fresh![0]!.weights[1];
    expect(fresh).toEqual([{ weights: [0, w, w], cap: undefined }]);
    expect(partly).toEqual([{ weights: [0, w, 0], cap: undefined }, { weights: [0, 0, w], cap: 2 }]);
    expect(wholly).toEqual([{ weights: [0, w, w], cap: 2 }]);
    expect(Batch.encode(group(undefined, undefined)).finish())
      .toEqual(Batch.encode(closeRlBatch([[member('m0'), member('m1')]], stage<RlStageRecipe>('rl')).batch).finish());
  });

  it('distillation: each domain present weighs the same, however many samples and tokens it has', () => {
    const scored = { reward: 0, scoreBlobSha256: 'ab', scoreRow: 0 };
    const { batch } = closeDistillBatch([
      { ...sample('s1', [0, 1, 1, 1]), ...scored }, { ...sample('s2', [0, 1]), ...scored }, { ...sample('t1', [0, 1, 1], 'tools'), ...scored, scoreRow: 7 },
    ], stage<DistillStageRecipe>('distill'));
    const totals = batch.samples.map((s) => sum(weights(s)));
    expect(totals[0]).toBeCloseTo(0.25, 6);
    expect(totals[1]).toBeCloseTo(0.25, 6);
    expect(totals[2]).toBeCloseTo(0.5, 6);
    const term = batch.samples[2]?.terms[0]?.kind;
    expect(term).toMatchObject({ $case: 'salientVocabulary', value: { scoreRow: 7, scoreBlobSha256: 'ab', topK: 16 } });
  });
});
