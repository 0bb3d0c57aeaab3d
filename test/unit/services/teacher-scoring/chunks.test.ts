import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { planChunks } from '../../../../services/teacher-scoring/chunks.js';

interface Asked { readonly id: number; readonly scorer: string; readonly tokens: number }

const plan = (episodes: readonly Asked[]) => planChunks(episodes, ({ scorer }) => scorer, ({ tokens }) => tokens);

describe('chunks of a scoring request', () => {
  test('64 episodes at most', () => {
    const episodes = Array.from({ length: 150 }, (_, id) => ({ id, scorer: 'a', tokens: 10 }));
    expect(plan(episodes).map((chunk) => chunk.length)).toEqual([64, 64, 22]);
  });

  test('256 Ki tokens at most, but a longer episode still gets a chunk of its own', () => {
    const episodes = [200_000, 62_144, 1, 300_000, 5].map((tokens, id) => ({ id, scorer: 'a', tokens }));
    expect(plan(episodes).map((chunk) => chunk.map(({ id }) => id))).toEqual([[0, 1], [2], [3], [4]]);
  });

  test('every episode once, one scorer a chunk, order kept within a scorer', () => {
    const asked = fc.array(fc.record({ scorer: fc.constantFrom('a', 'b', 'c'), tokens: fc.integer({ min: 1, max: 100_000 }) }), { maxLength: 200 })
      .map((episodes) => episodes.map((episode, id) => ({ ...episode, id })));
    fc.assert(fc.property(asked, (episodes) => {
      const chunks = plan(episodes);
      for (const chunk of chunks) expect(new Set(chunk.map(({ scorer }) => scorer)).size).toBe(1);
      for (const scorer of ['a', 'b', 'c']) {
        expect(chunks.flat().filter((episode) => episode.scorer === scorer)).toEqual(episodes.filter((episode) => episode.scorer === scorer));
      }
    }));
  });
});
