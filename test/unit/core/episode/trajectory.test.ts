import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { initialEpisode, type EpisodeState } from '../../../../core/episode/episode.js';
import { trajectoryOf } from '../../../../core/episode/trajectory.js';
import { RecordedTurn, spanProblem } from '../../../../core/episode/turn.js';
import { packF32, packU32 } from '../../../../core/log/bytes.js';
import type { ChangedWeights } from '../../../../proto/gen/stemma/v1/events.js';

function turn(tokens: number[], observation?: number[], changedWeights?: ChangedWeights): RecordedTurn {
  const at = { attempt: 1, turn: 0 };
  const sampled = new RecordedTurn({ ...at, tokens: packU32(tokens), logprobs: packF32(tokens.map((token) => -token / 8)), weightsHash: 'w', finish: 'stop', changedWeights });
  return observation === undefined ? sampled : sampled.acted({ ...at, tokens: packU32(observation), recordJson: '' });
}

function episode(promptTokens: number[], turns: RecordedTurn[]): EpisodeState {
  return { ...initialEpisode(), status: 'completed', promptTokens: Uint32Array.from(promptTokens), turns };
}

describe('trajectoryOf', () => {
  test('marks generated tokens and aligns their log-probabilities', () => {
    const { tokens, mask, logprobs, generatedPositions } = trajectoryOf(episode([1, 2], [turn([8, 16], [5]), turn([24], [])]));
    expect([...tokens]).toEqual([1, 2, 8, 16, 5, 24]);
    expect([...mask]).toEqual([0, 0, 1, 1, 0, 1]);
    expect([...logprobs]).toEqual([0, 0, -1, -2, 0, -3]);
    expect([...generatedPositions]).toEqual([2, 3, 5]);
  });

  test('says whose weights sampled which generated tokens, also where they changed inside a turn', () => {
    const changed = { spans: [{ weightsHash: 'w', tokens: 1 }, { weightsHash: 'x', tokens: 2 }], kvCache: 'recomputed' };
    const { sampledSpans } = trajectoryOf(episode([1, 2], [turn([8, 9, 10], [5], changed), turn([24, 25], [])]));
    expect(sampledSpans).toEqual([{ start: 2, end: 3, weightsHash: 'w' }, { start: 3, end: 5, weightsHash: 'x' }, { start: 6, end: 8, weightsHash: 'w' }]);
  });

  test('an observation that nothing follows is left out', () => {
    expect([...trajectoryOf(episode([1], [turn([8], [5, 6])])).tokens]).toEqual([1, 8]);
  });

  test('no turns: the prompt, with nothing generated', () => {
    const { tokens, generatedPositions } = trajectoryOf(episode([1, 2], []));
    expect([...tokens]).toEqual([1, 2]);
    expect(generatedPositions.length).toBe(0);
  });

  test('mask, positions and log-probabilities agree, and generated tokens come back in order', () => {
    const turns = fc.array(fc.record({ tokens: fc.array(fc.nat(500), { minLength: 1 }), observation: fc.array(fc.nat(500)) }));
    fc.assert(fc.property(fc.array(fc.nat(500), { minLength: 1 }), turns, (prompt, script) => {
      const { tokens, mask, logprobs, generatedPositions } = trajectoryOf(episode(prompt, script.map((t) => turn(t.tokens, t.observation))));
      expect([tokens.length, mask.length]).toEqual([logprobs.length, tokens.length]);
      expect([...generatedPositions]).toEqual([...mask.keys()].filter((position) => mask[position] === 1));
      expect([...generatedPositions].map((position) => tokens[position])).toEqual(script.flatMap((t) => t.tokens));
    }));
  });
});

describe('what a turn says of its weights', () => {
  const of = (spans: [string, number][], change: { kvCache?: string; weightsHash?: string } = {}): string | undefined => spanProblem({
    tokens: packU32([1, 2, 3]), weightsHash: change.weightsHash ?? 'w',
    changedWeights: { spans: spans.map(([weightsHash, tokens]) => ({ weightsHash, tokens })), kvCache: change.kvCache ?? 'recomputed' },
  });

  test('covers the turn, and changes at each span', () => {
    expect(spanProblem({ tokens: packU32([1]), weightsHash: 'w', changedWeights: undefined })).toBeUndefined();
    expect(of([['w', 1], ['x', 1], ['w', 1]])).toBeUndefined();
    expect(of([['w', 1], ['x', 1]])).toMatch(/cover 2 of its 3 tokens/);
    expect(of([['w', 3]])).toMatch(/only one/);
    expect(of([['w', 0], ['x', 3]])).toMatch(/has no tokens/);
    expect(of([['w', 1], ['w', 2]])).toMatch(/same weights/);
    expect(of([['x', 1], ['w', 2]])).toMatch(/first span/);
    expect(of([['w', 1], ['x', 2]], { kvCache: 'kept' })).toMatch(/'kept'/);
  });
});
