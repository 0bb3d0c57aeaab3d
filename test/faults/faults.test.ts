/**
 * Seeded faults in every role of a running platform, judged by an oracle outside it. `npm test` runs a short cut;
 * `npm run test:faults -- --seeds 20 --first-seed N` runs that many trials. A seed draws the same faults for ever.
 */
import { appendFileSync, mkdirSync, rmSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { openAllInOne, type AllInOne } from './harness/all-in-one.js';
import { drawPlan } from './harness/plan.js';
import { OracleReader } from './harness/oracle.js';
import { runPlan, type TrialResult } from './harness/run-plan.js';
import { checkRun, type Verdict } from './harness/check-run.js';

const RESULTS = resolve(import.meta.dirname, '../../.stemma/test/faults.jsonl');
const FIRST_SEED = Number(process.env['STEMMA_TEST_FIRST_SEED'] ?? 1);
const SEEDS = Number(process.env['STEMMA_TEST_FAULT_SEEDS'] ?? 1);
const FAULTS_A_TRIAL = 3;
const RECIPE = 'micro';
/** After these the run may end before a fault shows. */
const TOO_LATE = /distill\.[23]\.|distill (batchClosed|stepCommitted|episodesRequested) [23]|evaluationFinished distill/;

let undisturbed: { readonly facts: readonly string[]; readonly verdict: Verdict };

const open = (): Promise<AllInOne> => openAllInOne({ recipe: RECIPE, seed: 1, settings: { seed: 0, patches: ['oracle', 'proxied'] } });

beforeAll(async () => {
  mkdirSync(dirname(RESULTS), { recursive: true });
  rmSync(RESULTS, { force: true });
  const system = await open();
  try {
    await system.start();
    expect(await system.ended(), system.lastWords()).toBe(true);
    const oracle = new OracleReader(system.trial.oracleFile);
    const facts = [...oracle.facts()];
    const logs = await system.logs();
    try {
      undisturbed = { facts, verdict: await checkRun({ home: system.trial.home, run: system.run, logs, oracle: oracle.lines }) };
    } finally {
      await logs.close();
    }
  } finally {
    await system.close();
  }
});

const CLEAN = { lost: [], duplicated: [], mislabelled: [], ledger: [], replay: 'IDENTICAL' };

describe('a run under seeded faults', () => {
  it('is clean when left alone', () => {
    expect(undisturbed.verdict).toMatchObject(CLEAN);
    expect(undisturbed.verdict.weights).not.toBe('');
  });

  it.each(Array.from({ length: SEEDS }, (_, index) => FIRST_SEED + index))('seed %i: loses, doubles and mislabels nothing, and ends in the same weights', async (seed) => {
    const system = await open();
    try {
      const plan = drawPlan({ seed, faults: FAULTS_A_TRIAL, susceptible: system.susceptible, facts: undisturbed.facts, tooLate: TOO_LATE });
      const result = await runPlan(system, system.trial, plan).catch((error: unknown) => {
        record({ seed, faults: [], unknown: (error as Error).message });
        throw error;
      });
      record(result);
      expect(result.verdict, JSON.stringify(plan, null, 1)).toMatchObject({ ...CLEAN, weights: undisturbed.verdict.weights });
      expect(result.faults).toHaveLength(plan.faults.length);
    } finally {
      await system.close();
    }
  });
});

function record(result: TrialResult | { readonly seed: number; readonly faults: readonly []; readonly unknown: string }): void {
  appendFileSync(RESULTS, `${JSON.stringify(result)}\n`);
}
