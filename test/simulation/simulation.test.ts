/**
 * The real services under a seeded scheduler, with a point at which anything may break between any two port calls.
 *   npm run test:simulation -- --schedules 100000 --first-seed 1
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { createGeneses } from './genesis.js';
import { SCENARIOS, type Geneses } from './scenario.js';
import { FAULTS, REQUESTS } from './schedule.js';
import { explain, scenarioOf, simulateAgain, simulateSeed } from './simulate.js';

const schedules = Number(process.env['STEMMA_TEST_SCHEDULES'] ?? 250);
/** Every kind of fault strikes within so many. */
const ENOUGH_FOR_ALL = 200;
const firstSeed = Number(process.env['STEMMA_TEST_FIRST_SEED'] ?? 1);

/** Of an `amend`: which stage and which value. */
const AMENDS_SFT = 768;

let geneses: Geneses;
beforeAll(async () => { geneses = await createGeneses(); });

describe('the simulated system', () => {
  it(`ends in the same weights, or as far as it was let, under ${schedules} schedules from seed ${firstSeed} on`, { timeout: 24 * 3600_000 }, async () => {
    const startedMs = performance.now();
    let steps = 0;
    const struck = new Map<string, number>();
    for (let seed = firstSeed; seed < firstSeed + schedules; seed += 1) {
      const genesis = geneses[scenarioOf(seed)];
      const result = await simulateSeed(genesis, seed);
      steps += result.steps;
      for (const { kind } of result.decisions) struck.set(kind, (struck.get(kind) ?? 0) + 1);
      if (result.problems.length > 0) expect.fail(await explain(genesis, seed, result));
    }
    console.log(`${schedules} schedules (seeds ${firstSeed} to ${firstSeed + schedules - 1}), ${steps} steps, 0 failures, ${Math.round(schedules / ((performance.now() - startedMs) / 60_000))} a minute; ${[...struck].map(([kind, times]) => `${kind} ${times}`).join(', ')}`);
    if (schedules >= ENOUGH_FOR_ALL) expect([...FAULTS, ...REQUESTS].filter((kind) => !struck.has(kind))).toEqual([]);
  });
});

describe('an amendment of a stage that is learning', () => {
  it('holds from the step on that was answered, whenever it comes', async () => {
    for (let step = 20; step < 70; step += 1) {
      const { problems } = await simulateAgain(geneses.shards, 0, [{ step, kind: 'amend', arg: AMENDS_SFT }]);
      expect(problems).toEqual([]);
    }
  });
});

describe('the simulation itself', () => {
  it('runs a seed twice in the same way, step by step', async () => {
    for (const [at, scenario] of SCENARIOS.entries()) {
      const seed = 20 + at;
      const genesis = geneses[scenario];
      const [first, again] = [await simulateSeed(genesis, seed), await simulateSeed(genesis, seed)];
      expect(again.trace).toEqual(first.trace);
      expect(again.decisions).toEqual(first.decisions);
    }
  });

  it('runs again from what of a schedule had an effect', async () => {
    const seed = 13;
    const genesis = geneses[scenarioOf(seed)];
    const first = await simulateSeed(genesis, seed);
    const again = await simulateAgain(genesis, seed, first.decisions);
    expect(first.decisions.length).toBeGreaterThan(0);
    expect(again.trace).toEqual(first.trace);
  });
});
