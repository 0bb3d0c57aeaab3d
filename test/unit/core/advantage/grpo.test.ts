import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isUniform } from '../../../../core/advantage/dynamic-sampling.js';
import { grpoAdvantages } from '../../../../core/advantage/grpo.js';

const rewards = fc.array(fc.double({ min: -3, max: 3, noNaN: true }), { minLength: 2, maxLength: 16 });
const byStd = { normalizeByStd: true };

describe('GRPO advantage', () => {
  it('sums to 0 over a group, with or without the division', () => {
    fc.assert(fc.property(rewards, fc.boolean(), (group, normalizeByStd) => {
      const total = grpoAdvantages(group, { normalizeByStd }).reduce((a, b) => a + b, 0);
      expect(Math.abs(total)).toBeLessThan(1e-6);
    }));
  });

  it('follows its samples under permutation', () => {
    fc.assert(fc.property(rewards, (group) => {
      const reversed = grpoAdvantages([...group].reverse(), byStd).reverse();
      grpoAdvantages(group, byStd).forEach((advantage, i) => expect(reversed[i]).toBeCloseTo(advantage, 6));
    }));
  });

  it('gives a uniform group exactly 0, a group of one its reward, an empty group nothing', () => {
    expect(grpoAdvantages([0.1, 0.1, 0.1], byStd)).toEqual([0, 0, 0]);
    expect(grpoAdvantages([0.1, 0.1, 0.1], { normalizeByStd: false })).toEqual([0, 0, 0]);
    expect(grpoAdvantages([0.7], byStd)).toEqual([0.7]);
    expect(grpoAdvantages([], byStd)).toEqual([]);
  });
});

describe('dynamic sampling', () => {
  it('keeps mixed groups and groups of one', () => {
    expect(isUniform([1, 0, 1])).toBe(false);
    expect(isUniform([1])).toBe(false);
  });

  it('replaces groups whose samples all score the same, and groups without a valid sample', () => {
    expect(isUniform([0, 0, 0])).toBe(true);
    expect(isUniform([1, 1])).toBe(true);
    expect(isUniform([])).toBe(true);
  });

  it('is uniform exactly where every GRPO advantage is 0', () => {
    fc.assert(fc.property(fc.array(fc.constantFrom(0, 0.5, 1), { minLength: 2, maxLength: 8 }), (group) => {
      expect(isUniform(group)).toBe(grpoAdvantages(group, byStd).every((advantage) => advantage === 0));
    }));
  });
});
