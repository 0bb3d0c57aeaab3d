/**
 * R2, run identity: the micro recipe with kill -9 in every stage — of the services' process, the sidecar and the Temporal
 * server in turn — and Temporal's database deleted in the middle ends in the same weights as a run left alone.
 * `npm test` kills one part in each stage; STEMMA_TEST_KILLS=all kills each part in each stage (minutes).
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadRecipe } from '../../services/runtime/recipe-schema.js';
import { newHome } from '../support/homes.js';
import { cli, isRunning, pidOf, startQuickstart, type Quickstart, type Victim } from '../support/quickstart.js';
import { standing, whenStanding } from '../support/stage-watch.js';

const RUN = 'micro-s1-1';
const ARGS = ['--recipe', 'micro', '--seed', '1', '--json'];
const VICTIMS: readonly Victim[] = ['services', 'sidecar', 'temporal'];

interface Kill {
  readonly stage: string;
  readonly victim: Victim;
  /** Also deletes Temporal's database while everything is down; only with the services. */
  readonly deleteDatabase: boolean;
}

let undisturbed = '';
beforeAll(async () => {
  const result = await startQuickstart(newHome(), ARGS).ended;
  expect(result.code, result.stderr).toBe(0);
  undisturbed = (JSON.parse(result.stdout) as { weights: string }).weights;
});

describe('a run that is killed in every stage', () => {
  it('ends in the weights of a run left alone, with a clean ledger, after kills of every part', async () => {
    const stages = await stageIds();
    await endsAlike(stages.map((stage, i): Kill => ({
      stage, victim: VICTIMS[i % VICTIMS.length] ?? 'services', deleteDatabase: i === 3,
    })));
  });

  it.runIf(process.env['STEMMA_TEST_KILLS'] === 'all').each(VICTIMS)('the same with the %s killed in each stage', async (victim) => {
    await endsAlike((await stageIds()).map((stage) => ({ stage, victim, deleteDatabase: false })));
  }, 1_200_000);
});

async function stageIds(): Promise<string[]> {
  return (await loadRecipe('micro')).stages.map((stage) => stage.id);
}

async function endsAlike(kills: readonly Kill[]): Promise<void> {
  const home = newHome();
  let quickstart = startQuickstart(home, ARGS);
  const killed: Kill[] = [];
  for (const kill of kills) {
    quickstart = await strike(home, quickstart, kill);
    killed.push(kill);
  }
  const result = await quickstart.ended;
  expect(result.code, result.stderr.slice(-4000)).toBe(0);
  expect(killed).toHaveLength(kills.length);
  expect((JSON.parse(result.stdout) as { weights: string }).weights).toBe(undisturbed);
  const verified = await cli(home, ['verify', RUN]);
  expect(verified.code, verified.stdout + verified.stderr).toBe(0);
  const replayed = await cli(home, ['replay', RUN]);
  expect(replayed.stdout + replayed.stderr).toContain('IDENTICAL');
}

/** Kills the victim inside the stage, verifies that it fell and that the stage had not ended, and starts again what does not come back by itself. */
async function strike(home: string, quickstart: Quickstart, kill: Kill): Promise<Quickstart> {
  const ended = new AbortController();
  void quickstart.ended.then((result) => ended.abort(new Error(`ended before the kill in ${kill.stage}: ${result.stderr.slice(-2000)}`)));
  const at = { home, run: RUN, stage: kill.stage };
  await whenStanding(at, ended.signal, ({ run }) => run.stages.has(kill.stage));
  const pid = await waitForPid(quickstart, kill.victim, ended.signal);
  process.kill(pid, 'SIGKILL');
  await expect.poll(() => isRunning(pid)).toBe(false);
  const after = await standing(home, RUN, kill.stage);
  expect(after?.run.end, `the run had ended before the kill in ${kill.stage}`).toBeUndefined();
  expect(after?.run.stages.get(kill.stage)?.result, `${kill.stage} had ended before the kill`).toBeUndefined();
  if (kill.victim !== 'services') return quickstart;
  expect((await quickstart.ended).signal).toBe('SIGKILL');
  if (kill.deleteDatabase) {
    for (const suffix of ['', '-wal', '-shm']) rmSync(join(home, `temporal.db${suffix}`), { force: true });
  }
  return startQuickstart(home, ARGS);
}

async function waitForPid(quickstart: Quickstart, victim: Victim, until: AbortSignal): Promise<number> {
  for (;;) {
    until.throwIfAborted();
    const pid = pidOf(quickstart, victim);
    if (pid !== undefined) return pid;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
