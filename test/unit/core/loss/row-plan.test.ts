import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planRows } from '../../../../core/loss/row-plan.js';

describe('row plan', () => {
  it('covers each sample exactly once and never exceeds rowTokens unless a sample is alone', () => {
    fc.assert(fc.property(fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 40 }), fc.integer({ min: 1, max: 256 }), (lengths, rowTokens) => {
      const rows = planRows(lengths, rowTokens);
      expect(rows.flat().sort((a, b) => a - b)).toEqual(lengths.map((_, i) => i));
      for (const row of rows) {
        const tokens = row.reduce((total, i) => total + (lengths[i] as number), 0);
        if (row.length > 1) expect(tokens).toBeLessThanOrEqual(rowTokens);
        expect(row).toEqual([...row].sort((a, b) => a - b));
      }
      expect(rows.map((row) => row[0])).toEqual(rows.map((row) => row[0]).sort((a, b) => (a as number) - (b as number)));
    }));
  });

  it('puts each sample in the first row with room', () => {
    expect(planRows([6, 5, 4, 12, 3, 2], 10)).toEqual([[0, 2], [1, 4, 5], [3]]);
    expect(planRows([], 10)).toEqual([]);
  });
});
