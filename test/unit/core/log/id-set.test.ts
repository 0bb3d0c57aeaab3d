import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { IdSet } from '../../../../core/log/id-set.js';

const id = (number: number): string => createHash('sha256').update(String(number)).digest('hex').slice(0, 32);

describe('a set of event ids', () => {
  test('has what was added and nothing else, through every growth', () => {
    const set = new IdSet();
    for (let number = 0; number < 5_000; number += 1) {
      expect(set.has(id(number))).toBe(false);
      expect(set.add(id(number))).toBe(true);
      expect(set.add(id(number))).toBe(false);
    }
    for (let number = 0; number < 5_000; number += 1) expect(set.has(id(number))).toBe(true);
    for (let number = 5_000; number < 10_000; number += 1) expect(set.has(id(number))).toBe(false);
  });

  test('tells ids apart that differ in one digit only, wherever it is', () => {
    const set = new IdSet();
    const base = '0123456789abcdef0123456789abcdef';
    set.add(base);
    for (let at = 0; at < 32; at += 1) {
      const other = `${base.slice(0, at)}${base[at] === '0' ? '1' : '0'}${base.slice(at + 1)}`;
      expect(set.has(other)).toBe(false);
      expect(set.add(other)).toBe(true);
    }
    expect(set.has(base)).toBe(true);
  });

  test('takes what is no hash, and the hash of zeros', () => {
    const set = new IdSet();
    for (const odd of ['', 'event-1', '0'.repeat(32), 'A'.repeat(32), 'g'.repeat(32), 'a'.repeat(31)]) {
      expect(set.has(odd)).toBe(false);
      expect(set.add(odd)).toBe(true);
      expect(set.add(odd)).toBe(false);
      expect(set.has(odd)).toBe(true);
    }
    expect(set.has('a'.repeat(32))).toBe(false);
  });
});
