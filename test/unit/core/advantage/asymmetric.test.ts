import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asymmetricAdvantages, asymmetricParts } from '../../../../core/advantage/asymmetric.js';
import { grpoAdvantages } from '../../../../core/advantage/grpo.js';

const sample = fc.record({ outcome: fc.constantFrom(0, 1), process: fc.integer({ min: 0, max: 4 }).map((n) => n / 4), valid: fc.boolean() });
const groups = fc.array(sample, { minLength: 1, maxLength: 12 }).map((samples) => ({
  outcomesG: samples.map((s) => s.outcome), processG: samples.map((s) => s.process), validG: samples.map((s) => s.valid),
}));
const half = { lambdaNegative: 0.5 };

describe('asymmetric advantage', () => {
  it('gives an invalid sample 0 and keeps it out of every mean', () => {
    fc.assert(fc.property(groups, (group) => {
      const all = asymmetricAdvantages(group, half);
      const kept = group.validG.flatMap((valid, i) => (valid ? [i] : []));
      const alone = asymmetricAdvantages({
        outcomesG: kept.map((i) => group.outcomesG[i] as number),
        processG: kept.map((i) => group.processG[i] as number),
        validG: kept.map(() => true),
      }, half);
      expect(kept.map((i) => all[i])).toEqual(alone);
      group.validG.forEach((valid, i) => { if (!valid) expect(all[i]).toBe(0); });
    }));
  });

  it('adds no process advantage to a success, and none below two negatives', () => {
    fc.assert(fc.property(groups, (group) => {
      const { processAdvantagesG } = asymmetricParts(group);
      const negatives = group.outcomesG.filter((outcome, i) => outcome === 0 && group.validG[i]).length;
      group.outcomesG.forEach((outcome, i) => {
        if (outcome === 1 || negatives < 2) expect(processAdvantagesG[i]).toBe(0);
      });
    }));
  });

  it('still teaches where every outcome is 0', () => {
    const advantages = asymmetricAdvantages({ outcomesG: [0, 0, 0], processG: [0, 0.5, 1], validG: [true, true, true] }, half);
    expect(advantages[0]).toBeLessThan(0);
    expect(advantages[2]).toBeGreaterThan(0);
  });

  it('is GRPO on the outcomes when λ is 0', () => {
    fc.assert(fc.property(groups, (group) => {
      const valid = { ...group, validG: group.validG.map(() => true) };
      expect(asymmetricAdvantages(valid, { lambdaNegative: 0 })).toEqual(
        // +0: λ = 0 turns −0 into 0.
        grpoAdvantages(group.outcomesG, { normalizeByStd: true }).map((x) => x + 0),
      );
    }));
  });

  it('refuses arrays that are not parallel', () => {
    expect(() => asymmetricAdvantages({ outcomesG: [1, 0], processG: [1], validG: [true, true] }, half)).toThrow(RangeError);
  });
});
