/** What breaks in the middle of a run and a person can mend: said in one message, a non-zero exit, and the same command goes on. */
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { newHome } from '../support/homes.js';
import { cli, startQuickstart, type QuickstartResult } from '../support/quickstart.js';
import { canMount, mountSmallDisk } from '../support/small-disk.js';
import { standing, whenStanding } from '../support/stage-watch.js';

/** The micro recipe leaves some megabytes of blobs: this is full before its last stage. */
const BLOBS_KIB = 1024;
const ARGS = ['--recipe', 'micro', '--seed', '1', '--json'];
const RUN = 'micro-s1-1';

async function gaveUp(home: string, result: QuickstartResult, message: RegExp): Promise<void> {
  expect(result.code, result.stderr).toBe(1);
  expect(result.stderr).toMatch(message);
  expect(result.stderr).toMatch(/gave up after 8 tries[^]*start the same command again: it goes on from where it was/);
  expect(result.stderr).not.toMatch(/^\s+at .+:\d+:\d+/m);
  expect((await standing(home, RUN, 'sft'))?.run.end).toBeUndefined();
}

async function goesOn(home: string, settings: { readonly [name: string]: string } = {}): Promise<void> {
  const finished = await startQuickstart(home, ARGS, settings).ended;
  expect(finished.code, finished.stderr).toBe(0);
  expect(finished.stderr).toContain(`Going on with run ${RUN}`);
  const verified = await cli(home, ['verify', RUN], settings);
  expect(verified.code, verified.stdout).toBe(0);
}

describe('in the middle of a run', () => {
  it('a model blob is altered, then missing, then put back', async () => {
    const home = newHome();
    const first = startQuickstart(home, ARGS);
    // Later stages start from the SFT model, so its blob is needed again.
    const { run } = await whenStanding({ home, run: RUN, stage: 'search-rl' }, AbortSignal.timeout(240_000), (now) => now.run.stages.has('search-rl'));
    first.process.kill('SIGKILL');
    await first.ended;
    const { sha256 = '' } = run.stages.get('sft')?.result?.weights ?? {};
    const file = join(home, 'blobs', sha256.slice(0, 2), sha256);
    copyFileSync(file, join(home, 'copy'));
    const bytes = readFileSync(file);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    writeFileSync(file, bytes);
    await gaveUp(home, await startQuickstart(home, ARGS).ended, new RegExp(`${sha256}.* does not hash to its name`));
    rmSync(file);
    await gaveUp(home, await startQuickstart(home, ARGS).ended, new RegExp(`${sha256} is not in the store`));
    copyFileSync(join(home, 'copy'), file);
    await goesOn(home);
  });

  it.skipIf(!canMount())('the disk fills up, then has room again', async () => {
    const home = newHome();
    const disk = mountSmallDisk(BLOBS_KIB);
    try {
      const settings = { STEMMA_BLOBS: join(disk.directory, 'blobs') };
      await gaveUp(home, await startQuickstart(home, ARGS, settings).ended, /no space left/);
      disk.resize(64 * 1024);
      await goesOn(home, settings);
    } finally {
      disk.unmount();
    }
  });
});
