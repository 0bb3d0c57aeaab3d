import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DOMAINS } from '../../../../core/environment.js';
import type { Verdict } from '../../../../core/environment.js';
import type { Rewards } from '../../../../core/recipe/recipe.js';
import { countRepeats, rewardOf, rewardOrderingProblems } from '../../../../core/reward/reward.js';

const rewards: Rewards = {
  search: { correct: 1, format: 0.1, freeRounds: 3, perExtraRound: 0.05, efficiencyCap: 0.2, repeatWindow: 2, perRepeat: 0.05, repetitionCap: 0.1 },
  science: { correct: 1, format: 0.1 },
  instruction: { grading: 'binary', format: 0 },
  tools: { correct: 1 },
};
const verdict: Verdict = { correct: true, formatOk: true, answer: 'amber harbor', rubrics: [], rounds: 3, callKeys: [], fraction: 1 };
const reward = (change: Partial<Verdict>, domain: (typeof DOMAINS)[number] = 'search') => rewardOf(domain, { ...verdict, ...change }, rewards);

describe('the search reward', () => {
  it('is free within K rounds, linear beyond, and capped', () => {
    expect(reward({}).reward).toBeCloseTo(1.1);
    expect(reward({ rounds: 5 }).components).toContainEqual({ name: 'efficiency', value: -0.1 });
    expect(reward({ rounds: 50 }).components).toContainEqual({ name: 'efficiency', value: -0.2 });
    expect(Object.is(reward({}).components[1]!.value, 0)).toBe(true);
  });

  it('penalises a key seen among the last W, up to a cap', () => {
    expect(countRepeats(['a', 'a', 'b', 'a'], 2)).toBe(2);
    expect(countRepeats(['a', 'b', 'c', 'a'], 2)).toBe(0);
    expect(countRepeats(['a', 'b', 'c', 'a'], 3)).toBe(1);
    expect(countRepeats(['a', 'a'], 0)).toBe(0);
    expect(reward({ callKeys: ['a', 'a', 'a', 'a', 'a'] }).components).toContainEqual({ name: 'repetition', value: -0.1 });
  });

  it('scores form apart from correctness', () => {
    expect(reward({ correct: false }).reward).toBeCloseTo(0.1);
    expect(reward({ correct: false, formatOk: false }).reward).toBe(0);
  });
});

it('instruction grades binary or by constraint; tools by outcome alone', () => {
  const fraction: Rewards = { ...rewards, instruction: { grading: 'fraction', format: 0 } };
  const partial = { ...verdict, correct: false, fraction: 0.5 };
  expect(rewardOf('instruction', partial, rewards).reward).toBe(0);
  expect(rewardOf('instruction', partial, fraction).reward).toBe(0.5);
  expect(rewardOf('tools', { ...partial, rubrics: [true, true, true] }, rewards).reward).toBe(0);
});

describe('ordering', () => {
  const verdicts = fc.record({
    correct: fc.boolean(), formatOk: fc.boolean(), answer: fc.constant('x'), rubrics: fc.array(fc.boolean(), { maxLength: 3 }),
    rounds: fc.nat(30), callKeys: fc.array(fc.constantFrom('a', 'b'), { maxLength: 20 }), fraction: fc.constantFrom(0, 1 / 3, 1 / 2, 2 / 3),
  });
  const amount = fc.double({ min: 0, max: 2, noNaN: true });
  const anyRewards: fc.Arbitrary<Rewards> = fc.record({
    search: fc.record({ correct: amount, format: amount, freeRounds: fc.nat(5), perExtraRound: amount, efficiencyCap: amount, repeatWindow: fc.nat(5), perRepeat: amount, repetitionCap: amount }),
    science: fc.record({ correct: amount, format: amount }),
    instruction: fc.record({ grading: fc.constantFrom('binary' as const, 'fraction' as const), format: amount }),
    tools: fc.record({ correct: amount }),
  });

  it('rewards without problems put any correct episode above any incorrect one', () => {
    expect(rewardOrderingProblems(rewards)).toEqual([]);
    fc.assert(fc.property(anyRewards, verdicts, verdicts, (numbers, right, wrong) => {
      fc.pre(rewardOrderingProblems(numbers).length === 0);
      for (const domain of DOMAINS) {
        const good = rewardOf(domain, { ...right, correct: true, fraction: 1 }, numbers);
        const bad = rewardOf(domain, { ...wrong, correct: false }, numbers);
        expect(good.reward).toBeGreaterThan(bad.reward - 1e-12);
        expect(good.reward).toBeCloseTo(good.components.reduce((sum, part) => sum + part.value, 0));
      }
    }), { numRuns: 500 });
  });

  it('names the numbers that could not', () => {
    const slow = { ...rewards, search: { ...rewards.search, efficiencyCap: 0.9, repetitionCap: 0.2, perRepeat: -1 }, tools: { correct: 0 } };
    expect(rewardOrderingProblems(slow)).toEqual([
      expect.stringContaining('rewards.search: correct (1) must exceed'),
      expect.stringContaining('rewards.tools.correct'),
      expect.stringContaining('rewards.search.perRepeat: must be 0 or more'),
    ]);
  });
});
