import { describe, expect, it } from 'vitest';
import { randomOf } from '../../../environments/random.js';

describe('randomOf', () => {
  it('is a function of its key', () => {
    const draw = (...key: (string | number)[]) => { const random = randomOf(...key); return Array.from({ length: 8 }, () => random.below(1000)); };
    expect(draw('a', 1)).toEqual(draw('a', 1));
    expect(draw('a', 1)).not.toEqual(draw('a', 2));
    expect(draw('a', 12)).not.toEqual(draw('a1', 2));
  });

  it('is the stream it always was: stored task ids depend on it', () => {
    const random = randomOf(1, 'search', 'corpus');
    expect(Array.from({ length: 6 }, () => random.below(1000))).toMatchInlineSnapshot(`
      [
        821,
        698,
        545,
        357,
        972,
        240,
      ]
    `);
  });

  it('covers its range evenly', () => {
    const counts = new Array<number>(10).fill(0);
    for (let key = 0; key < 20_000; key++) counts[randomOf('even', key).below(10)]!++;
    for (const count of counts) expect(count / 20_000).toBeCloseTo(0.1, 1.7);
  });

  it('shuffles and samples without loss or repetition', () => {
    const random = randomOf('deck');
    const deck = Array.from({ length: 52 }, (_, i) => i);
    expect(random.shuffled(deck).sort((a, b) => a - b)).toEqual(deck);
    expect(new Set(random.sample(deck, 20)).size).toBe(20);
    expect(() => random.pick([])).toThrow(RangeError);
  });
});
