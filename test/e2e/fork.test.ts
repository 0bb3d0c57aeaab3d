/** A fork shares its parent's history and goes its own way; a fork that changes nothing ends where its parent ended. */
import { readdirSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { newHome } from '../support/homes.js';
import { cli, startQuickstart, type QuickstartResult } from '../support/quickstart.js';
import { standing, type Standing } from '../support/stage-watch.js';

const PARENT = 'micro-s11-1';
const OTHER = `${PARENT}-f1`;
const SAME = `${PARENT}-f2`;
const home = newHome();

const weightsOf = ({ code, stdout, stderr }: QuickstartResult): string => {
  expect(code, stderr).toBe(0);
  return (JSON.parse(stdout) as { weights: string }).weights;
};
const said = async (...args: string[]): Promise<string> => {
  const { code, stdout, stderr } = await cli(home, args);
  expect(code, stdout + stderr).toBe(0);
  return stdout;
};

let parent: string;
let same: string;
let other: string;
/** Between the forks: the second finds no snapshot of what it shares. */
let collected: string;

beforeAll(async () => {
  parent = weightsOf(await startQuickstart(home, ['--recipe', 'micro', '--seed', '11', '--json']).ended);
  other = weightsOf(await cli(home, ['fork', PARENT, '--at', '1', '--set', 'distill.topK=8', '--json']));
  for (const file of readdirSync(join(home, 'blobs'), { recursive: true, withFileTypes: true })) {
    if (file.isFile()) utimesSync(join(file.parentPath, file.name), 0, 0);
  }
  collected = await said('gc', '--superseded');
  same = weightsOf(await cli(home, ['fork', PARENT, '--at', '1', '--stage', 'instruction-rl2', '--json']));
}, 300_000);

describe('stemma fork', () => {
  it('that changes nothing ends in the weights of its parent', () => {
    expect(same).toBe(parent);
  });

  it('that changes a setting shares the steps before it and differs after', async () => {
    expect(other).not.toBe(parent);
    const [theirs, ours] = (await Promise.all([standing(home, PARENT, 'distill'), standing(home, OTHER, 'distill')])) as [Standing, Standing];
    expect(ours.stage.committed[0]).toEqual(theirs.stage.committed[0]);
    expect(ours.stage.committed[1]).toMatchObject({ step: 2 });
    expect(ours.stage.committed[1]).not.toMatchObject({ stateHash: theirs.stage.committed[1]?.stateHash });
    expect(ours.run.forked).toMatchObject({ parentRun: PARENT, stage: 'distill', step: 1, stateHash: theirs.stage.committed[0]?.stateHash });
    expect([...ours.run.stages.keys()]).toEqual([...theirs.run.stages.keys()]);
  });

  it('finds what it shares also where superseded weights and snapshots were collected', async () => {
    const [, count = '0'] = /^goes +(\d+) blobs of .*, superseded by later steps$/m.exec(collected) ?? [];
    expect(Number(count)).toBeGreaterThan(10);
    expect(collected).not.toContain('reached by nothing');
    expect(await said('verify', PARENT)).toMatch(/^CLEAN: .* blobs checked, \d+ superseded ones collected$/m);
    expect(await said('gc', '--dry-run')).not.toContain('missing');
    expect(await said('lineage', parent, '--run', PARENT)).toContain(`run ${PARENT}`);
  });

  it.each([PARENT, SAME, OTHER])('%s is audited and replayed from its own log', async (run) => {
    expect(await said('verify', run)).toMatch(/^CLEAN/);
    expect(await said('replay', run)).toContain('IDENTICAL: 17 steps');
  }, 120_000);

  it('differs from its parent, by meaning, in the setting and from the step after it', async () => {
    expect(await said('diff', PARENT, SAME)).toContain('SAME');
    const { code, stdout } = await cli(home, ['diff', PARENT, OTHER]);
    expect(code).toBe(1);
    expect(stdout).toContain('DIFFERENT from distill step 2 on: settings sva.topK from 2 is only in the second');
    expect(stdout).toMatch(/^step +16 same +1 different/m);
  });

  it('has a lineage that reaches its parent\'s history', async () => {
    const lines = await said('lineage', other, '--run', OTHER, '--full');
    expect(lines).toContain(`forked from run ${PARENT}`);
    expect(lines).toContain('made by search-rl step 2');
    expect(lines).toContain('sft (sft): 3 steps');
  });

  it('is refused where its parent has no such step or setting, and then leaves no log behind', async () => {
    const noStep = await cli(home, ['fork', PARENT, '--at', '7']);
    expect([noStep.code, noStep.stderr]).toEqual([expect.any(Number), expect.stringContaining('Fork at a step from 0 to 2')]);
    const noSetting = await cli(home, ['fork', PARENT, '--at', '1', '--set', 'sva.surprise=1']);
    expect(noSetting.code).not.toBe(0);
    expect(noSetting.stderr).toContain('sva.topK');
    expect(await said('status')).not.toContain('-f3');
  });
});
