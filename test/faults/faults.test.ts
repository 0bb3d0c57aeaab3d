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
import { ASYNCHRONOUS, writeLongRecipe, writeShortRecipe, type Mode, type TrialRecipe } from './harness/recipes.js';
import { runPlan, verdictOf, type TrialResult } from './harness/run-plan.js';
import type { OpenSystem, System } from './harness/system.js';

const RESULTS = resolve(import.meta.dirname, '../../.stemma/test/faults.jsonl');
const number = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise);
const SHORT_CUT = process.env['STEMMA_TEST_FAULT_SEEDS'] === undefined;
const FIRST_SEED = number('STEMMA_TEST_FIRST_SEED', 1);
const SEEDS = number('STEMMA_TEST_FAULT_SEEDS', 1);
const FAULTS_A_TRIAL = number('STEMMA_TEST_FAULTS_A_TRIAL', 3);
/** synchronous, or asynchronous: one after the other of its kinds, by seed. The short cut has one trial of the latter. */
const MODE = process.env['STEMMA_TEST_FAULT_MODE'] ?? 'synchronous';
const ONLY = process.env['STEMMA_TEST_FAULT_PLATFORM'];
/** Of a fault's "role kind": only those that contain it. */
const ONLY_FAULTS = process.env['STEMMA_TEST_FAULT_ONLY'] ?? '';
/** A minute or two on a quiet machine. */
const TRIAL_MS = 3_600_000;

const folder = mkdtempSync(join(tmpdir(), 'stemma-recipe-'));
const recipeOf = (mode: Mode): TrialRecipe => (SHORT_CUT ? writeShortRecipe(folder, mode) : writeLongRecipe(folder, mode));
const modeOf = (seed: number): Mode => (MODE === 'asynchronous' ? ASYNCHRONOUS[seed % ASYNCHRONOUS.length]! : 'synchronous');
const atOnce = inLanes(number('STEMMA_TEST_FAULTS_AT_ONCE', 1));
const open = (openSystem: OpenSystem, recipe: TrialRecipe): Promise<System> =>
  openSystem({ recipe: recipe.file, run: recipe.run, seed: 1, settings: { seed: 0, patches: ['oracle', 'proxied', 'tasks twice', 'reads twice'] } });

/** That a mode is what it says. */
const SOME = expect.toSatisfy((count: number) => count > 0, 'some') as number;
const SHOWS: { readonly [M in Mode]: Partial<Verdict['asynchrony']> } = {
  synchronous: { weighted: 0, dropped: 0, changed: 0 }, weight: { weighted: SOME }, drop: { dropped: SOME }, 'inside-turn': { changed: SOME },
};

const CLEAN = { lost: [], duplicated: [], mislabelled: [], ledger: [], repeatedInVain: [], replay: 'IDENTICAL' };

/** In one process: the facts that trials of both platforms strike at. */
interface Undisturbed {
  readonly recipe: TrialRecipe;
  readonly facts: readonly string[];
  readonly verdict: Verdict;
  /** That every trial must end in; '' where what is in flight decides. */
  readonly weights: string;
}

describeWithCompiler('a run under seeded faults', () => {
  const seeds = Array.from({ length: SEEDS }, (_, index) => FIRST_SEED + index);
  const asynchronousToo: Mode[] = SHORT_CUT ? [ASYNCHRONOUS[FIRST_SEED % ASYNCHRONOUS.length]!] : [];
  const modes = [...new Set([...seeds.map(modeOf), ...asynchronousToo])];
  const undisturbed = new Map<Mode, Undisturbed>();
  beforeAll(async () => {
    mkdirSync(dirname(RESULTS), { recursive: true });
    for (const mode of modes) undisturbed.set(mode, await leftAlone(mode));
  }, modes.length * TRIAL_MS);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.each(modes)('%s: is clean when left alone', (mode) => {
    const { verdict } = undisturbed.get(mode)!;
    expect(verdict).toMatchObject(CLEAN);
    expect(verdict.weights).not.toBe('');
    expect(verdict.asynchrony).toMatchObject(SHOWS[mode]);
  });

  if (ONLY !== 'distributed') trials('all-in-one', openAllInOne);
  if (ONLY !== 'distributed') for (const mode of asynchronousToo) it(`all-in-one, ${mode}: loses, doubles and mislabels nothing`, () => trial('all-in-one', openAllInOne, { seed: FIRST_SEED, mode }));
  if (ONLY !== 'all-in-one') describeWithKafka('over a broker', () => trials('distributed', openDistributed));

  function trials(platform: string, openSystem: OpenSystem): void {
    it.concurrent.each(seeds)(`${platform}, seed %i: loses, doubles and mislabels nothing, and ends in the same weights`, (seed) =>
      atOnce(() => trial(platform, openSystem, { seed, mode: modeOf(seed) })), SEEDS * TRIAL_MS);
  }

  async function trial(platform: string, openSystem: OpenSystem, { seed, mode }: { seed: number; mode: Mode }): Promise<void> {
    const { recipe, facts, weights } = undisturbed.get(mode)!;
    const system = await open(openSystem, recipe);
    try {
      const plan = drawPlan({ seed, faults: FAULTS_A_TRIAL, susceptible: system.susceptible, facts, tooLate: recipe.tooLate, only: ONLY_FAULTS });
      const about = { platform: mode === 'synchronous' ? platform : `${platform}, ${mode}`, planned: plan.faults.map(({ role, kind }) => ({ role, kind })) };
      const result = await runPlan(system, plan).catch((error: unknown) => {
        record({ ...about, seed, faults: [], unknown: (error as Error).message });
        throw error;
      });
      record({ ...about, ...result, unclean: unclean(result.verdict, weights) });
      expect(result.verdict, JSON.stringify(plan, null, 1)).toMatchObject({ ...CLEAN, ...(weights !== '' && { weights }) });
      expect(result.faults.length).toBeGreaterThan(0);
    } finally {
      await system.close();
    }
  }
});

async function leftAlone(mode: Mode): Promise<Undisturbed> {
  const recipe = recipeOf(mode);
  const system = await open(openAllInOne, recipe);
  try {
    await system.start();
    expect(await system.ended(), system.lastWords()).toBe(true);
    const oracle = new OracleReader(system.trial.oracleFile);
    const verdict = await verdictOf(system, oracle);
    return { recipe, facts: [...oracle.facts()], verdict, weights: mode === 'synchronous' ? verdict.weights : '' };
  } finally {
    await system.close();
  }
}

/** What a verdict says besides lost, duplicated and mislabelled. */
function unclean({ ledger, repeatedInVain, replay, weights }: Verdict, expected: string): string[] {
  return [...ledger, ...repeatedInVain, ...(replay === 'IDENTICAL' ? [] : [`replay: ${replay}`]), ...(expected === '' || weights === expected ? [] : ['ended in other weights'])];
}

type Recorded = { readonly platform: string; readonly planned: readonly Pick<Fault, 'role' | 'kind'>[] }
  & ((TrialResult & { readonly unclean: readonly string[] }) | { readonly seed: number; readonly faults: readonly []; readonly unknown: string });

function record(result: Recorded): void {
  appendFileSync(RESULTS, `${JSON.stringify(result)}\n`);
}
