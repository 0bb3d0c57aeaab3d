import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sharesOf } from '../../../../services/learner/shares.js';

describe('shares of a mixture', () => {
  it('leave out domains without a share', () => {
    expect(sharesOf({ search: 1, tools: 3 }, 8)).toEqual([{ domain: 'search', rows: 2 }, { domain: 'tools', rows: 6 }]);
  });

  it('add up to the rows, each within one of its exact share', () => {
    const share = fc.integer({ min: 1, max: 100 });
    fc.assert(fc.property(fc.record({ search: share, science: share, instruction: share, tools: share }), fc.integer({ min: 1, max: 5000 }), (mixture, rows) => {
      const total = Object.values(mixture).reduce((a, b) => a + b, 0);
      const shares = sharesOf(mixture, rows);
      expect(shares.reduce((n, s) => n + s.rows, 0)).toBe(rows);
      for (const s of shares) expect(Math.abs(s.rows - (rows * mixture[s.domain]) / total)).toBeLessThanOrEqual(1);
    }));
  });
});
