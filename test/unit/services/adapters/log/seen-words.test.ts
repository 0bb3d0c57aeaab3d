import { expect, test } from 'vitest';
import { LongSeen, ShortSeen, type SeenWords } from '../../../../../services/adapters/log/seen-words.js';
import { diceOf } from '../../../../support/random.js';

test.each([['short', () => new ShortSeen(), 400], ['long', () => new LongSeen(), 20_000]] as const)('a %s list finds every word at its positions, however often it stands there', (_, create, count) => {
  const dice = diceOf(7);
  const seen: SeenWords = create();
  const words = Array.from({ length: count }, (_each, at) => (at % 50 === 49 ? 123_456_789 : dice()));
  words.forEach((word) => seen.add(word));
  words.forEach((word, position) => expect(seen.candidates(word)).toContain(position));
  expect(seen.candidates(123_456_789).filter((position) => words[position] === 123_456_789).sort((a, b) => a - b)).toEqual(Array.from({ length: count / 50 }, (_each, at) => 50 * at + 49));
});

test.each([['short', () => new ShortSeen(), 200, 0.01], ['long', () => new LongSeen(), 20_000, 0.001]] as const)('a %s list rarely names a position for a word that is not there', (_, create, count, most) => {
  const dice = diceOf(8);
  const seen: SeenWords = create();
  for (let at = 0; at < count; at += 1) seen.add(dice());
  const named = Array.from({ length: 10_000 }, () => seen.candidates(dice()).length).filter((found) => found > 0);
  expect(named.length / 10_000).toBeLessThan(most);
});

test('a zero is a word like others', () => {
  for (const seen of [new ShortSeen(), new LongSeen()]) {
    expect(seen.candidates(0)).toEqual([]);
    seen.add(0);
    expect(seen.candidates(0)).toEqual([0]);
  }
});
