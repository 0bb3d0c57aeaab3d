import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deriveSeed } from '../../../../services/runtime/seed.js';

const part = fc.oneof(fc.string(), fc.integer(), fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }));
/** Two lists mean the same when their parts do: 1 and 1n are one integer, '1' is a text. */
const meaning = (parts: readonly (string | number | bigint)[]): string =>
  JSON.stringify(parts.map((each) => (typeof each === 'string' ? ['s', each] : ['i', each.toString()])));

describe('deriveSeed', () => {
  it('is fixed for all time', () => {
    expect(deriveSeed([1, 'search-rl', 3, 0, 7])).toBe(deriveSeed([1n, 'search-rl', 3n, 0n, 7n]));
    expect(deriveSeed([])).toBe(0xe3b0c44298fc1c14n);
  });

  it('tells lists apart that differ in meaning, and only those', () => {
    fc.assert(fc.property(fc.array(part, { maxLength: 4 }), fc.array(part, { maxLength: 4 }), (a, b) => {
      expect(deriveSeed(a) === deriveSeed(b)).toBe(meaning(a) === meaning(b));
    }));
    expect(deriveSeed(['ab', 'c'])).not.toBe(deriveSeed(['a', 'bc']));
    expect(deriveSeed(['1'])).not.toBe(deriveSeed([1]));
    expect(deriveSeed(['a', ''])).not.toBe(deriveSeed(['a']));
  });

  it('fits 64 bits and refuses what is no integer', () => {
    fc.assert(fc.property(fc.array(part), (parts) => {
      const seed = deriveSeed(parts);
      expect(seed >= 0n && seed < 2n ** 64n).toBe(true);
    }));
    expect(() => deriveSeed([0.5])).toThrow(RangeError);
    expect(() => deriveSeed([Number.NaN])).toThrow(RangeError);
  });
});
