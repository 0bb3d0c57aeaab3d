/**
 * Seeded faults in every role of a running platform — one process, and distributed mode over a broker — judged by an oracle outside it.
 * `npm test` runs a short cut; `npm run test:faults -- --seeds 20 --first-seed N` runs that many trials of each. A seed draws the same faults for ever.
 */
import { appendFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWithKafka } from '../support/real-kafka.js';
import { openAllInOne } from './harness/all-in-one.js';
import type { Verdict } from './harness/check-run.js';
import { describeWithCompiler } from './harness/compiler.js';
import { openDistributed } from './harness/distributed.js';
import { inLanes } from './harness/lanes.js';
import { OracleReader } from './harness/oracle.js';
import { drawPlan, type Fault } from './harness/plan.js';
import { writeLongRecipe, writeShortRecipe } from './harness/recipes.js';
import { runPlan, verdictOf, type TrialResult } from './harness/run-plan.js';
import type { OpenSystem, System } from './harness/system.js';

const RESULTS = resolve(import.meta.dirname, '../../.stemma/test/faults.jsonl');
const number = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise);
const SHORT_CUT = process.env['STEMMA_TEST_FAULT_SEEDS'] === undefined;
const FIRST_SEED = number('STEMMA_TEST_FIRST_SEED', 1);
const SEEDS = number('STEMMA_TEST_FAULT_SEEDS', 1);
const FAULTS_A_TRIAL = number('STEMMA_TEST_FAULTS_A_TRIAL', 3);
const ONLY = process.env['STEMMA_TEST_FAULT_PLATFORM'];
/** Of a fault's "role kind": only those that contain it. */
const ONLY_FAULTS = process.env['STEMMA_TEST_FAULT_ONLY'] ?? '';
const TRIAL_MS = 900_000;

const folder = mkdtempSync(join(tmpdir(), 'stemma-recipe-'));
const recipe = SHORT_CUT ? writeShortRecipe(folder) : writeLongRecipe(folder);
const atOnce = inLanes(number('STEMMA_TEST_FAULTS_AT_ONCE', 1));
const open = (openSystem: OpenSystem): Promise<System> =>
  openSystem({ recipe: recipe.file, run: recipe.run, seed: 1, settings: { seed: 0, patches: ['oracle', 'proxied', 'tasks twice', 'reads twice'] } });

const CLEAN = { lost: [], duplicated: [], mislabelled: [], ledger: [], replay: 'IDENTICAL' };

describeWithCompiler('a run under seeded faults', () => {
  /** In one process: the facts that trials of both platforms strike at, and the weights that both must end in. */
  let undisturbed: { readonly facts: readonly string[]; readonly verdict: Verdict };
  beforeAll(async () => {
    mkdirSync(dirname(RESULTS), { recursive: true });
    const system = await open(openAllInOne);
    try {
      await system.start();
      expect(await system.ended(), system.lastWords()).toBe(true);
      const oracle = new OracleReader(system.trial.oracleFile);
      undisturbed = { facts: [...oracle.facts()], verdict: await verdictOf(system, oracle) };
    } finally {
      await system.close();
    }
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('is clean when left alone', () => {
    expect(undisturbed.verdict).toMatchObject(CLEAN);
    expect(undisturbed.verdict.weights).not.toBe('');
  });

  if (ONLY !== 'distributed') trials('all-in-one', openAllInOne);
  if (ONLY !== 'all-in-one') describeWithKafka('over a broker', () => trials('distributed', openDistributed));

  /** What a verdict says besides lost, duplicated and mislabelled. */
  function unclean({ ledger, replay, weights }: Verdict): string[] {
    return [...ledger, ...(replay === 'IDENTICAL' ? [] : [`replay: ${replay}`]), ...(weights === undisturbed.verdict.weights ? [] : ['ended in other weights'])];
  }

  function trials(platform: string, openSystem: OpenSystem): void {
    const seeds = Array.from({ length: SEEDS }, (_, index) => FIRST_SEED + index);
    it.concurrent.each(seeds)(`${platform}, seed %i: loses, doubles and mislabels nothing, and ends in the same weights`, (seed) => atOnce(async () => {
      const system = await open(openSystem);
      try {
        const plan = drawPlan({ seed, faults: FAULTS_A_TRIAL, susceptible: system.susceptible, facts: undisturbed.facts, tooLate: recipe.tooLate, only: ONLY_FAULTS });
        const planned = plan.faults.map(({ role, kind }) => ({ role, kind }));
        const result = await runPlan(system, plan).catch((error: unknown) => {
          record({ platform, planned, seed, faults: [], unknown: (error as Error).message });
          throw error;
        });
        record({ platform, planned, ...result, unclean: unclean(result.verdict) });
        expect(result.verdict, JSON.stringify(plan, null, 1)).toMatchObject({ ...CLEAN, weights: undisturbed.verdict.weights });
        expect(result.faults.length).toBeGreaterThan(0);
      } finally {
        await system.close();
      }
    }), SEEDS * TRIAL_MS);
  }
});

type Recorded = { readonly platform: string; readonly planned: readonly Pick<Fault, 'role' | 'kind'>[] }
  & ((TrialResult & { readonly unclean: readonly string[] }) | { readonly seed: number; readonly faults: readonly []; readonly unknown: string });

function record(result: Recorded): void {
  appendFileSync(RESULTS, `${JSON.stringify(result)}\n`);
}
