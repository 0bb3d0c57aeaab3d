/**
 * Asynchronous training with real parts: rollouts run ahead of the learner within the bound, also over a kill -9 in the middle;
 * the ledger is clean and the run recomputes from its log.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { episodeFold } from '../../core/episode/episode.js';
import { episodeStream, runStream, stageStream } from '../../core/log/keys.js';
import type { StoredEvent } from '../../core/ports.js';
import { stageFactsFold } from '../../core/projection/facts.js';
import { runFold } from '../../core/run/run.js';
import { stalenessOf, versionsBefore } from '../../core/stage/staleness.js';
import { openEmbeddedLogs } from '../../services/adapters/log/embedded.js';
import { readFold } from '../../services/runtime/record-fact.js';
import { cli, startRun, type QuickstartResult } from '../support/quickstart.js';
import { whenStanding } from '../support/stage-watch.js';

const MICRO = resolve(import.meta.dirname, '../../recipes/micro.yaml');
const RUN = 'ahead-s1-1';
/** instruction-rl1 samples dynamically: it asks for more within a step while later ones are in flight. */
const BOUNDS: { readonly [stage: string]: number } = { 'search-rl': 1, 'instruction-rl1': 2, distill: 1 };
const STEPS = 5;

interface RecipeFile {
  stages: { id: string; steps: number }[];
  teachers: { [domain: string]: string };
}

/** micro cut to SFT, two RL stages and distillation, each of the latter ahead by its bound. */
function writeRecipe(folder: string): string {
  const recipe = parse(readFileSync(MICRO, 'utf8')) as RecipeFile;
  const file = join(folder, 'ahead.yaml');
  const stages = recipe.stages.filter(({ id }) => id === 'sft' || id in BOUNDS).map((stage) => ({
    ...stage, evaluate: false, ...(stage.id in BOUNDS ? { steps: STEPS, asynchronous: { maxStaleness: BOUNDS[stage.id] } } : {}),
  }));
  writeFileSync(file, stringify({
    ...recipe, name: 'ahead', stages, teachers: { search: 'search-rl', science: 'none', instruction: 'instruction-rl1', tools: 'none' },
  }, { aliasDuplicateObjects: false }));
  return file;
}

const home = mkdtempSync(join(tmpdir(), 'stemma-asynchronous-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));
let killed: QuickstartResult;
let finished: QuickstartResult;

beforeAll(async () => {
  const recipe = writeRecipe(home);
  const first = startRun(home, recipe);
  // A step is learned and the next two are asked for: episodes are in flight over a change of weights.
  await whenStanding({ home, run: RUN, stage: 'search-rl' }, AbortSignal.timeout(240_000), ({ stage }) => stage.committed.length >= 1 && stage.requests.has(3));
  first.process.kill('SIGKILL');
  killed = await first.ended;
  finished = await startRun(home, recipe).ended;
}, 500_000);

describe('an asynchronous run', () => {
  it('goes on after kill -9 and finishes', () => {
    expect(killed.signal).toBe('SIGKILL');
    expect(finished.code, finished.stderr).toBe(0);
  });

  it('has a clean ledger and is replayed IDENTICAL', async () => {
    const verified = await cli(home, ['verify', RUN]);
    expect(verified.code, verified.stdout + verified.stderr).toBe(0);
    const replayed = await cli(home, ['replay', RUN]);
    expect(replayed.stdout, replayed.stderr).toContain('IDENTICAL');
  });

  it.each(Object.entries(BOUNDS))('%s: every turn is within the bound, some are behind, and what is in flight is bounded', async (stage, bound) => {
    const { staleness, ahead, figure } = await measured(stage);
    expect(Math.max(...staleness)).toBeLessThanOrEqual(bound);
    expect(Math.max(...staleness)).toBeGreaterThan(0);
    expect(Math.max(...ahead)).toBe(bound);
    // What the run says of itself is what its episodes say.
    expect(figure).toEqual({ sum: staleness.reduce((sum, each) => sum + each, 0), count: staleness.length });
  });
});

interface Measured {
  /** Of each member of each batch, from its turns. */
  readonly staleness: number[];
  /** Of each request, how many steps beyond the next one it was for. */
  readonly ahead: number[];
  readonly figure: { readonly sum: number; readonly count: number };
}

async function measured(id: string): Promise<Measured> {
  const logs = await openEmbeddedLogs(join(home, 'log'));
  try {
    const log = await logs.open(RUN, 'read');
    const { state: run } = await readFold(log, runStream(RUN), runFold);
    const stored = await log.readStream(stageStream(RUN, id));
    const { state: stage } = await readFold(log, stageStream(RUN, id), stageFactsFold);
    const parent = run.stages.get(id)?.started.parent?.weightsHash ?? '';
    const staleness = await Promise.all(stage.closed.flatMap(({ step, members }) => members.map(async ({ member }) => {
      const { state } = await readFold(log, episodeStream(RUN, member), episodeFold);
      return stalenessOf(step, state.turns.map(({ weightsHash }) => weightsHash), versionsBefore(step, parent, stage.committed));
    })));
    const stats = stage.committed.flatMap(({ stats }) => stats.filter(({ name }) => name === 'staleness'));
    const figure = { sum: stats.reduce((sum, stat) => sum + stat.sum, 0), count: stats.reduce((sum, stat) => sum + stat.count, 0) };
    return { staleness, ahead: stepsAhead(stored), figure };
  } finally {
    await logs.close();
  }
}

function stepsAhead(stored: readonly StoredEvent[]): number[] {
  let committed = 0;
  return stored.flatMap(({ event: { payload } }) => {
    if (payload?.$case === 'stepCommitted') committed = payload.value.step;
    return payload?.$case === 'episodesRequested' && payload.value.purpose === 'train' ? [payload.value.step - committed - 1] : [];
  });
}
