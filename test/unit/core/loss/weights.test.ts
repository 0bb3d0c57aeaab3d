/** Token weights of every objective: what each mode sums to and which samples leave the counts. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tokenWeights } from '../../../../core/loss/aggregate.js';
import { domainNormalisedWeights } from '../../../../core/loss/domain-normalised.js';
import type { DomainSample } from '../../../../core/loss/domain-normalised.js';

const counts = fc.array(fc.integer({ min: 0, max: 200 }), { minLength: 1, maxLength: 30 });
const domainSamples = fc.array(
  fc.record({ domain: fc.constantFrom('search', 'science', 'instruction', 'tools'), trainableTokens: fc.integer({ min: 0, max: 50 }) }),
  { minLength: 1, maxLength: 30 },
);

const massOf = (weights: readonly number[], tokens: readonly number[]) =>
  weights.reduce((total, weight, i) => total + weight * (tokens[i] as number), 0);

describe.each(['seq-mean-token-mean', 'token-mean'] as const)('token weights, %s', (mode) => {
  it('sum to 1 over all tokens', () => {
    fc.assert(fc.property(counts, (tokens) => {
      fc.pre(tokens.some((count) => count > 0));
      expect(massOf(tokenWeights(tokens, mode), tokens)).toBeCloseTo(1, 12);
    }));
  });

  it('give a sample without trainable tokens 0 and leave it out of the counts', () => {
    fc.assert(fc.property(counts, fc.nat(), (tokens, at) => {
      const index = at % (tokens.length + 1);
      const withEmpty = tokenWeights([...tokens.slice(0, index), 0, ...tokens.slice(index)], mode);
      expect(withEmpty[index]).toBe(0);
      expect(withEmpty.filter((_, i) => i !== index)).toEqual(tokenWeights(tokens, mode));
    }));
  });
});

describe('token weights', () => {
  it('weigh samples equally in one mode and tokens equally in the other', () => {
    expect(tokenWeights([1, 4], 'seq-mean-token-mean')).toEqual([0.5, 0.125]);
    expect(tokenWeights([1, 4], 'token-mean')).toEqual([0.2, 0.2]);
  });

  it('of a batch without trainable tokens are all 0', () => {
    expect(tokenWeights([0, 0], 'token-mean')).toEqual([0, 0]);
    expect(tokenWeights([0, 0], 'seq-mean-token-mean')).toEqual([0, 0]);
    expect(tokenWeights([], 'token-mean')).toEqual([]);
  });
});

describe('domain-normalised weights', () => {
  const tokensOf = (samples: readonly DomainSample[]) => samples.map((sample) => sample.trainableTokens);
  /** L for a loss per sample that is the same at each of its tokens. */
  const objective = (samples: readonly DomainSample[], lossOf: readonly number[]) =>
    domainNormalisedWeights(samples).reduce((total, weight, i) => total + weight * (samples[i] as DomainSample).trainableTokens * (lossOf[i] as number), 0);
  const lossFor = (samples: readonly DomainSample[]) => samples.map((_, i) => Math.sin(i + 1));

  it('sum to 1 over all tokens', () => {
    fc.assert(fc.property(domainSamples, (samples) => {
      fc.pre(samples.some((sample) => sample.trainableTokens > 0));
      expect(massOf(domainNormalisedWeights(samples), tokensOf(samples))).toBeCloseTo(1, 12);
    }));
  });

  it('leave L unchanged when every sample of one domain is duplicated', () => {
    fc.assert(fc.property(domainSamples, fc.constantFrom('search', 'science', 'instruction', 'tools'), (samples, domain) => {
      const losses = lossFor(samples);
      const twice = samples.flatMap((sample, i) => (sample.domain === domain ? [i, i] : [i]));
      const duplicated = objective(twice.map((i) => samples[i] as DomainSample), twice.map((i) => losses[i] as number));
      expect(duplicated).toBeCloseTo(objective(samples, losses), 12);
    }));
  });

  it('leave L unchanged when one sample is lengthened by repeating its token losses', () => {
    fc.assert(fc.property(domainSamples, fc.nat(), fc.integer({ min: 2, max: 5 }), (samples, at, times) => {
      const index = at % samples.length;
      const longer = samples.map((sample, i) => (i === index ? { ...sample, trainableTokens: sample.trainableTokens * times } : sample));
      expect(objective(longer, lossFor(longer))).toBeCloseTo(objective(samples, lossFor(samples)), 12);
    }));
  });

  it('do not count an absent domain, nor one whose samples have no trainable tokens', () => {
    const search = [{ domain: 'search', trainableTokens: 4 }, { domain: 'search', trainableTokens: 2 }];
    expect(domainNormalisedWeights(search)).toEqual([1 / 8, 1 / 4]);
    expect(domainNormalisedWeights([...search, { domain: 'tools', trainableTokens: 0 }])).toEqual([1 / 8, 1 / 4, 0]);
  });

  it('let a sample without trainable tokens leave its domain before counting', () => {
    fc.assert(fc.property(domainSamples, (samples) => {
      const kept = samples.filter((sample) => sample.trainableTokens > 0);
      const all = domainNormalisedWeights(samples);
      expect(all.filter((_, i) => (samples[i] as DomainSample).trainableTokens > 0)).toEqual(domainNormalisedWeights(kept));
    }));
  });
});
