import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memberStalenessBound, staleTokens, stalenessOf, stepsAhead, stepsToRequest, turnPolicy, versionsBefore, type NewestWeights, type PolicyRef } from '../../../../core/stage/staleness.js';

const weights = { sha256: 'blob', length: 1n };

describe('steps asked for', () => {
  it('are the next one where a stage is synchronous, and none twice', () => {
    expect(stepsToRequest({ committed: 2, steps: 5, ahead: 0 }, () => false)).toEqual([3]);
    expect(stepsToRequest({ committed: 2, steps: 5, ahead: 0 }, (step) => step === 3)).toEqual([]);
  });

  it('run ahead by the bound, to the last step of the stage', () => {
    expect(stepsToRequest({ committed: 0, steps: 9, ahead: 2 }, () => false)).toEqual([1, 2, 3]);
    expect(stepsToRequest({ committed: 1, steps: 9, ahead: 2 }, (step) => step <= 3)).toEqual([4]);
    expect(stepsToRequest({ committed: 8, steps: 9, ahead: 2 }, () => false)).toEqual([9]);
    expect(stepsToRequest({ committed: 9, steps: 9, ahead: 2 }, () => false)).toEqual([]);
  });
});

describe('what a recipe allows', () => {
  const asynchrony = { maxStaleness: 1, ahead: 3, inFlight: 'between-turns' } as const;

  it('is nothing ahead without the setting, and the bound by default', () => {
    expect([stepsAhead(undefined), memberStalenessBound(undefined)]).toEqual([0, 0]);
    expect(stepsAhead({ maxStaleness: 2, onStale: 'wait', inFlight: 'between-turns' })).toBe(2);
  });

  it('keeps members within the bound, unless they are weighted', () => {
    expect(memberStalenessBound({ ...asynchrony, onStale: 'drop' })).toBe(1);
    expect(memberStalenessBound({ ...asynchrony, onStale: 'weight', importanceCap: 2 })).toBe(3);
  });
});

describe('the weights of a turn', () => {
  it('are the newest that its sampler can have', () => {
    const newest: NewestWeights = { committed: 'v2', published: { weightsHash: 'v1', weights } };
    expect(turnPolicy({ weightsHash: 'v0', weights: undefined }, newest)).toEqual({ weightsHash: 'v2' });
    expect(turnPolicy({ weightsHash: 'v0', weights }, newest)).toEqual({ weightsHash: 'v1', weights });
    expect(turnPolicy({ weightsHash: 'v0', weights: undefined }, {}).weightsHash).toBe('v0');
  });
});

describe('staleness', () => {
  const versions = versionsBefore(3, 'v0', [{ step: 1, weightsHash: 'v1' }, { step: 2, weightsHash: 'v2' }, { step: 3, weightsHash: 'v3' }]);

  it('is that of the stalest turn, in steps', () => {
    expect(stalenessOf(3, ['v2'], versions)).toBe(0);
    expect(stalenessOf(3, ['v2', 'v0', 'v1'], versions)).toBe(2);
    expect(stalenessOf(3, [], versions)).toBe(0);
  });

  it('of tokens is that of the weights behind each', () => {
    const trajectory = { tokens: new Uint32Array(9), sampledSpans: [{ start: 2, end: 4, weightsHash: 'v0' }, { start: 6, end: 7, weightsHash: 'v2' }, { start: 7, end: 9, weightsHash: 'v1' }] };
    expect([...staleTokens(trajectory, { step: 3, bound: 0 }, versions)!]).toEqual([0, 0, 1, 1, 0, 0, 0, 1, 1]);
    expect([...staleTokens(trajectory, { step: 3, bound: 1 }, versions)!]).toEqual([0, 0, 1, 1, 0, 0, 0, 0, 0]);
    expect(staleTokens(trajectory, { step: 3, bound: 2 }, versions)).toBeUndefined();
  });

  it('counts from the newest version where a step changed nothing', () => {
    expect(stalenessOf(2, ['v0'], versionsBefore(2, 'v0', [{ step: 1, weightsHash: 'v0' }]))).toBe(0);
  });
});

/**
 * A stage whose rollouts and learner do their next thing in any order: the planner asks ahead and commits a step when its episodes
 * are over; an episode takes its turns whenever it is scheduled, with weights it looked up then.
 */
class Interleaving {
  committed = 0;
  newest: NewestWeights = {};
  mostInFlight = 0;
  readonly requested = new Map<number, PolicyRef>();
  readonly turns = new Map<number, string[]>();

  constructor(readonly at: { steps: number; ahead: number; turnsPerStep: number; blobs: boolean }) {}

  private policy(): PolicyRef {
    const weightsHash = `v${this.committed}`;
    if (!this.at.blobs) return { weightsHash };
    if (this.committed > 0) this.newest = { ...this.newest, published: { weightsHash, weights } };
    return { weightsHash, weights };
  }

  plan(): void {
    for (const step of stepsToRequest({ committed: this.committed, ...this.at }, (asked) => this.requested.has(asked))) {
      this.requested.set(step, this.policy());
      this.turns.set(step, []);
    }
    this.mostInFlight = Math.max(this.mostInFlight, this.requested.size - this.committed);
    if (this.turns.get(this.committed + 1)?.length !== this.at.turnsPerStep) return;
    this.committed += 1;
    this.newest = { ...this.newest, committed: `v${this.committed}` };
  }

  turn(step: number): void {
    const turns = this.turns.get(step);
    if (turns === undefined || turns.length === this.at.turnsPerStep) return;
    turns.push(turnPolicy({ weights: undefined, ...this.requested.get(step)! }, this.newest).weightsHash);
  }
}

describe('under any interleaving', () => {
  const schedules = fc.record({
    ahead: fc.integer({ min: 0, max: 4 }), turnsPerStep: fc.integer({ min: 1, max: 4 }), blobs: fc.boolean(),
    moves: fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 6 })), { maxLength: 120 }),
  });

  it('no turn is staler than the bound, and no more rounds are in flight than one beyond it', () => {
    fc.assert(fc.property(schedules, ({ moves, ...at }) => {
      const stage = new Interleaving({ steps: 6, ...at });
      for (const move of moves) {
        if (move === 0) stage.plan();
        else stage.turn(move);
      }
      const commits = Array.from({ length: stage.committed }, (_, i) => ({ step: i + 1, weightsHash: `v${i + 1}` }));
      for (let step = 1; step <= stage.committed; step += 1) {
        expect(stalenessOf(step, stage.turns.get(step) ?? [], versionsBefore(step, 'v0', commits))).toBeLessThanOrEqual(at.ahead);
      }
      expect(stage.mostInFlight).toBeLessThanOrEqual(at.ahead + 1);
    }), { numRuns: 500 });
  });

  it('rollouts that never wait for the learner reach the bound: it is not kept by luck', () => {
    const stage = new Interleaving({ steps: 6, ahead: 2, turnsPerStep: 1, blobs: false });
    for (let round = 0; round < 6; round += 1) {
      stage.plan();
      for (let step = 1; step <= 6; step += 1) stage.turn(step);
    }
    expect(stalenessOf(3, stage.turns.get(3) ?? [], versionsBefore(3, 'v0', [{ step: 1, weightsHash: 'v1' }, { step: 2, weightsHash: 'v2' }]))).toBe(2);
  });
});
