import { expect, test } from 'vitest';
import { KnownEnds } from '../../../../../services/adapters/log/known-ends.js';

test('the end is one past the greatest position that is durable, in whatever order they are told', () => {
  const ends = new KnownEnds();
  expect(ends.of('a')).toBeUndefined();
  for (const position of [0, 1, 0, 5, 3]) ends.note('a', position);
  expect(ends.of('a')).toBe(6);
});

test('of many streams those of late are known, and none wrongly', () => {
  const ends = new KnownEnds();
  for (let stream = 0; stream < 350_000; stream += 1) ends.note(`${stream}`, stream % 7);
  expect(ends.of('349999')).toBe((349_999 % 7) + 1);
  expect(ends.of('0')).toBeUndefined();
  ends.note('299999', 0);
  expect(ends.of('299999')).toBe((299_999 % 7) + 1);
});
