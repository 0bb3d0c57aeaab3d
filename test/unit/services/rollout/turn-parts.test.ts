import { describe, expect, it } from 'vitest';
import type { Sampled } from '../../../../core/ports.js';
import { joined, restOf } from '../../../../services/rollout/turn-parts.js';

const part = (weightsHash: string, tokens: number[], finish: Sampled['finish'] = 'interrupted'): Sampled => (
  { tokens: Uint32Array.from(tokens), logprobs: Float32Array.from(tokens, (token) => -token), weightsHash, finish });
const turn = { tokens: Uint32Array.of(1, 2), maxNewTokens: 9, stopTokenIds: [3], seed: 2n ** 64n - 1n, greedy: false, temperature: 1, bannedTokenIds: [] };

describe('a turn in parts', () => {
  it('goes on after what was drawn, at the draw that would have come next', () => {
    expect(restOf(turn, [])).toBe(turn);
    expect(restOf(turn, [part('v0', [])])).toBe(turn);
    const rest = restOf(turn, [part('v0', [5]), part('v1', [6, 7])]);
    expect(rest).toMatchObject({ tokens: Uint32Array.of(1, 2, 5, 6, 7), maxNewTokens: 6, stopTokenIds: [3] });
    expect(rest.seed).toBe((2n ** 64n - 1n + 3n * 0x9e3779b97f4a7c15n) % 2n ** 64n);
  });

  it('says who sampled what, without empty spans and with one a change', () => {
    const whole = joined([part('v0', []), part('v1', [5]), part('v1', [6]), part('v2', []), part('v3', [7], 'stop')]);
    expect(whole).toEqual({
      tokens: Uint32Array.of(5, 6, 7), logprobs: Float32Array.of(-5, -6, -7), finish: 'stop',
      spans: [{ weightsHash: 'v1', tokens: 2 }, { weightsHash: 'v3', tokens: 1 }],
    });
    expect(joined([part('v0', [5], 'length')])).toMatchObject({ finish: 'length', spans: [{ weightsHash: 'v0', tokens: 1 }] });
  });
});
