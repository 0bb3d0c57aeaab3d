import { expect, it } from 'vitest';
import { chunksOf } from '../../../../services/runtime/chunks.js';

it.each([[0, []], [1, [1]], [64, [64]], [65, [64, 1]], [130, [64, 64, 2]]])('yields each of %i items once, in order, 64 at a time', (count, sizes) => {
  const items = Array.from({ length: count }, (_, index) => index);
  const chunks = [...chunksOf(items)];
  expect(chunks.map(({ length }) => length)).toEqual(sizes);
  expect(chunks.flat()).toEqual(items);
});
