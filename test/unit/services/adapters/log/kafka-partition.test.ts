import { describe, expect, it } from 'vitest';
import { murmur2, partitionOf } from '../../../../../services/adapters/log/kafka-partition.js';

describe('murmur2', () => {
  // From the tests of Kafka's own Java client.
  it.each([
    ['21', -973932308], ['foobar', -790332482], ['a-little-bit-long-string', -985981536], ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971], ['abc', 479470107],
  ])('of %s is what Java says', (text, hash) => expect(murmur2(Buffer.from(text))).toBe(hash));

  it('reads a view of a larger buffer', () => expect(murmur2(Buffer.from('xxxabcx').subarray(3, 6))).toBe(479470107));
});

describe('partitionOf', () => {
  it('uses all partitions and no other', () => {
    const found = new Set(Array.from({ length: 200 }, (_, index) => partitionOf(`episode/r1/e${index}`, 8)));
    expect([...found].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });
});
