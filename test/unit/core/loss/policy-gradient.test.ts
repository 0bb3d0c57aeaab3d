import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clippedPolicyLoss, K3_CLAMP, LOG_RATIO_CLAMP, k1, k2, k3, truncatedPolicyLoss } from '../../../../core/loss/policy-gradient.js';

const clip = { clipLow: 0.2, clipHigh: 0.28 };
const logprob = fc.double({ min: -5, max: 0, noNaN: true });
const h = 1e-6;

describe('clipped policy loss', () => {
  it('has the gradient that finite differences give, away from the clip corners', () => {
    fc.assert(fc.property(logprob, logprob, fc.double({ min: -2, max: 2, noNaN: true }), (logp, oldLogprob, advantage) => {
      const ratio = Math.exp(logp - oldLogprob);
      fc.pre(Math.abs(ratio - 0.8) > 1e-3 && Math.abs(ratio - 1.28) > 1e-3 && ratio < 20);
      const at = (x: number) => clippedPolicyLoss({ logprob: x, oldLogprob, advantage }, clip);
      const difference = (at(logp + h).loss - at(logp - h).loss) / (2 * h);
      expect(Math.abs(difference - at(logp).gradient)).toBeLessThan(1e-5);
    }));
  });

  it('stops pushing up above 1 + ε_high and down below 1 − ε_low, and never the other way', () => {
    const at = (ratio: number, advantage: number) => clippedPolicyLoss({ logprob: Math.log(ratio), oldLogprob: 0, advantage }, clip);
    expect(at(1.3, 1)).toMatchObject({ clipped: true, gradient: 0 });
    expect(at(1.25, 1).clipped).toBe(false);
    expect(at(0.7, -1)).toMatchObject({ clipped: true, gradient: 0 });
    expect(at(1.3, -1).clipped).toBe(false);
    expect(at(0.7, 1).clipped).toBe(false);
  });

  it('stays finite, without a gradient, where the log-ratio is beyond its clamp', () => {
    expect(clippedPolicyLoss({ logprob: 0, oldLogprob: -900, advantage: -1 }, clip)).toEqual({ loss: Math.exp(LOG_RATIO_CLAMP), gradient: 0, clipped: false });
  });
});

describe('truncated importance weighting', () => {
  const at = (ratio: number, advantage: number) => truncatedPolicyLoss({ logprob: Math.log(ratio), oldLogprob: 0, advantage }, 2);

  it('weighs a token by its ratio up to the cap, either way, and never turns it off', () => {
    expect(at(1.5, 1).gradient).toBeCloseTo(-1.5, 12);
    expect(at(0.1, -1).gradient).toBeCloseTo(0.1, 12);
    expect(at(50, 1)).toMatchObject({ gradient: -2, clipped: true });
    expect(at(50, -1)).toMatchObject({ gradient: 2, clipped: true });
  });

  it('is the plain policy gradient where the weights are the same', () => {
    fc.assert(fc.property(logprob, fc.double({ min: -2, max: 2, noNaN: true }), (logp, advantage) => {
      expect(truncatedPolicyLoss({ logprob: logp, oldLogprob: logp, advantage }, 2)).toEqual({ loss: -advantage * logp, gradient: -advantage, clipped: false });
    }));
  });
});

describe('KL estimators', () => {
  it('have the gradients that finite differences give', () => {
    fc.assert(fc.property(logprob, logprob, (logp, reference) => {
      fc.pre(Math.abs(k3(logp, reference).value - K3_CLAMP) > 1e-2);
      for (const estimate of [k1, k2, k3]) {
        const difference = (estimate(logp + h, reference).value - estimate(logp - h, reference).value) / (2 * h);
        expect(Math.abs(difference - estimate(logp, reference).gradient)).toBeLessThan(1e-5);
      }
    }));
  });

  it('k3 is never negative, 0 at agreement, and saturates without a gradient', () => {
    fc.assert(fc.property(logprob, logprob, (logp, reference) => {
      expect(k3(logp, reference).value).toBeGreaterThanOrEqual(-1e-15);
    }));
    expect(k3(-1, -1).value).toBe(0);
    expect(k3(-800, 0)).toEqual({ value: K3_CLAMP, gradient: 0 });
    expect(k3(0, -12)).toEqual({ value: K3_CLAMP, gradient: 0 });
  });
});
