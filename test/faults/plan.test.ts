/** A whole run leaves out no pair of role and fault of either platform. */
import { expect, it } from 'vitest';
import { ALL_IN_ONE_FAULTS } from './harness/all-in-one.js';
import { DISTRIBUTED_FAULTS } from './harness/distributed.js';
import { drawPlan, type Susceptible } from './harness/plan.js';

const FACTS = ['sft stepCommitted 1', 'search-rl episodesRequested 1', 'search-rl stepCommitted 1', 'tools-rl stepCommitted 1', 'distill episodesRequested 1', 'distill stepCommitted 1', 'distill stepCommitted 2'];
const FACT_NAMES = FACTS.map((fact) => `stage/long-s1-1/${fact}`);
const TOO_LATE = /distill stepCommitted 2/;

/** As docs/faults.md names the commands. */
const WHOLE_RUN: readonly (readonly [string, Susceptible, number, number])[] = [['all-in-one', ALL_IN_ONE_FAULTS, 7, 12], ['distributed', DISTRIBUTED_FAULTS, 16, 10]];

function drawn(susceptible: Susceptible, seeds: number, faults: number): string[][] {
  return Array.from({ length: seeds }, (_, index) => drawPlan({ seed: index + 1, faults, susceptible, facts: FACT_NAMES, tooLate: TOO_LATE }).faults
    .map(({ role, kind }) => `${role} ${kind}`));
}

it.each(WHOLE_RUN)('%s: each role meets each of its faults, and no trial strikes one role only', (_, susceptible, seeds, faults) => {
  const trials = drawn(susceptible, seeds, faults);
  const pairs = Object.entries(susceptible).flatMap(([role, { kinds }]) => kinds.map((kind) => `${role} ${kind}`));
  expect(pairs.filter((pair) => !trials.flat().includes(pair))).toEqual([]);
  for (const trial of trials) expect(new Set(trial.map((pair) => pair.split(' ')[0])).size).toBeGreaterThan(2);
});

it('a whole run strikes at least 200 times, never after the last facts, and a seed draws the same for ever', () => {
  expect(WHOLE_RUN.reduce((sum, [, , seeds, faults]) => sum + seeds * faults, 0)).toBeGreaterThanOrEqual(200);
  const plan = drawPlan({ seed: 7, faults: 40, susceptible: DISTRIBUTED_FAULTS, facts: FACT_NAMES, tooLate: TOO_LATE });
  expect(plan.faults.map(({ after }) => after)).not.toContain('stage/long-s1-1/distill stepCommitted 2');
  expect(drawPlan({ seed: 7, faults: 40, susceptible: DISTRIBUTED_FAULTS, facts: FACT_NAMES, tooLate: TOO_LATE })).toEqual(plan);
});
