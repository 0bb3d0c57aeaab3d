/** The oracle's lines to what was repeated: at most one turn a take-over. */
import { describe, expect, it } from 'vitest';
import { repeatedInVain, repeatedTurns } from './harness/check-log.js';
import type { OracleLine } from './harness/oracle.js';

const claimed = (episode: string, key: string): OracleLine => ({ line: 'attempted', id: key, stream: `episode/${episode}`, type: 'claimed', key, digest: '' });
const sampled = (seed: string, tokens = 5): OracleLine => ({ line: 'sampled', seed, tokens });
const fault: OracleLine = { line: 'fault', fault: 'hang' };
/** a0 and a1 are turns of episode a. */
const episodes = new Map(['a0', 'a1', 'b0'].map((seed) => [seed, seed.slice(0, 1)]));
const inVain = (...lines: OracleLine[]): string[] => repeatedInVain(lines, episodes, (episode) => `episode/${episode}`);

describe('turns that are sampled again', () => {
  it('one a take-over is the one that was in flight', () => {
    expect(inVain(claimed('a', '1'), sampled('a0'), claimed('a', '2'), sampled('a0'), sampled('a1'))).toEqual([]);
    expect(inVain(claimed('a', '1'), sampled('a0'), claimed('a', '2'), sampled('a0'), sampled('a1'), claimed('a', '3'), sampled('a1'))).toEqual([]);
  });

  it('more than that, or without one, is named; a claim that is sent again is one', () => {
    const named = ['episode a: 1 turns sampled again, 0 take-overs'];
    expect(inVain(claimed('a', '1'), sampled('a0'), sampled('a0'), claimed('b', '2'), sampled('b0'))).toEqual(named);
    expect(inVain(claimed('a', '1'), claimed('a', '1'), sampled('a0'), sampled('a0'))).toEqual(named);
    expect(inVain(claimed('a', '1'), sampled('a0'), sampled('a1'), claimed('a', '2'), sampled('a0'), sampled('a1'))).toEqual(['episode a: 2 turns sampled again, 1 take-overs']);
  });

  it('the rest of a turn, after a change of weights inside it, is no repetition', () => {
    expect(inVain(claimed('a', '1'), sampled('a0', 5), sampled('a0', 9))).toEqual([]);
  });

  it('are counted for the fault before them', () => {
    expect(repeatedTurns([sampled('a0'), fault, sampled('a0'), sampled('a1'), fault, sampled('b0')], episodes)).toEqual([1, 0]);
  });
});
