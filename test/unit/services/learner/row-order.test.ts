import { describe, expect, it } from 'vitest';
import { rowOrder, type RowPick } from '../../../../services/learner/row-order.js';

const take = (sizes: readonly number[], rows: number, seed = 5n): RowPick[] => {
  let consumed = 0;
  return sizes.flatMap((batchSize) => {
    const picks = rowOrder(seed, 'sft', rows, { batchSize, consumed });
    consumed += picks.length;
    return picks;
  });
};

describe('row order', () => {
  it('takes each row once a pass, whatever the batch size, and says which pass', () => {
    for (const sizes of [[7, 7, 7], [10, 1, 10], [21]]) {
      const picks = take(sizes, 7);
      for (const pass of [0, 1, 2]) {
        expect(picks.filter((p) => p.pass === pass).map((p) => p.row).sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6]);
      }
    }
  });

  it('is one order: cut into other batches it is the same', () => {
    expect(take([4, 4, 4, 4], 9)).toEqual(take([16], 9));
  });

  it('differs by seed and by pass', () => {
    const picks = take([100], 50);
    expect(picks.slice(0, 50).map((p) => p.row)).not.toEqual(picks.slice(50).map((p) => p.row));
    expect(take([50], 50, 6n)).not.toEqual(take([50], 50));
  });
});
