/**
 * A run started, watched, paused, amended and finished from the Temporal UI alone, and another stopped, in a real browser.
 * STEMMA_TEST_PICTURES=docs/temporal-ui keeps what the browser saw.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Payload } from '../../core/log/keys.js';
import { describeWithBrowser, openBrowser } from '../support/browser.js';
import { newHome } from '../support/homes.js';
import { cli, startUp, type Quickstart } from '../support/quickstart.js';
import { runEvents } from '../support/stage-watch.js';
import { openTemporalUi, type TemporalUi } from '../support/temporal-ui.js';

const PICTURES = process.env['STEMMA_TEST_PICTURES'] ?? '';
/** As micro, with a first stage long enough to be steered by hand. */
const SFT_STEPS = 300;

describeWithBrowser('a run driven from the Temporal UI', () => {
  const home = newHome();
  const recipe = join(home, 'micro.yaml');
  let up: Quickstart;
  let browser: Browser;
  let ui: TemporalUi;

  beforeAll(async () => {
    writeFileSync(recipe, readFileSync(resolve(import.meta.dirname, '../../recipes/micro.yaml'), 'utf8').replace(/^( +steps:) 3$/m, `$1 ${SFT_STEPS}`));
    if (PICTURES !== '') mkdirSync(PICTURES, { recursive: true });
    up = startUp(home, []);
    while (!up.stderr().includes('Ready.')) {
      if (up.process.exitCode !== null) throw new Error(up.stderr());
      await delay(50);
    }
    const address = /Temporal UI\s+(http:\S+)/.exec(up.stderr())?.[1] ?? '';
    browser = await openBrowser();
    ui = await openTemporalUi(browser, address, PICTURES);
  });
  afterAll(async () => {
    await browser?.close();
    up?.process.kill('SIGTERM');
    await up?.ended;
  });

  /** The control facts of a run with who asked, as the log has them. */
  async function audited(run: string): Promise<[string, unknown, unknown][]> {
    const facts = (await runEvents(home, run)).filter(({ $case }) => /^(runCreated|runPaused|runResumed|settingAmended|runStopRequested)$/.test($case)) as (Payload & { value: { by?: string; origin?: string } })[];
    return facts.map(({ $case, value }) => [$case, value.by, value.origin]);
  }

  it('starts, shows its progress, pauses, is amended, goes on and finishes; each act is audited as unverified', async () => {
    const run = 'by-hand-1';
    await ui.start({ id: run, queue: 'stemma-worker', type: 'trainingRun', input: { recipe } });
    await ui.tab('user-metadata');
    expect(await ui.update('pause')).toBe('');
    await expect.poll(() => ui.details(), { timeout: 120_000 }).toMatch(/is paused, stage [\w-]+ \(\d of 9\)[^]*distill\s+waiting\s+0\sof\s2[^]*resume, stop: no input/);
    await ui.picture('paused');
    expect(await ui.update('amend', { stage: 'distil', path: 'optimizer.learningRate', value: 0.0005 })).toMatch(/there is no stage distil; there are .*distill\. Type for instance/);
    await ui.picture('refused');
    await ui.page.reload();
    expect(await ui.update('amend', { stage: 'distill', path: 'optimizer.learningRate', value: 0.0005 })).toBe('');
    expect(await ui.details()).toContain('distill optimizer.learningRate = 0.0005 from step 1 on');
    expect(await ui.query('stages')).toMatch(/"sft": "\w+, step \d+ of 300.*"[^]*"distill": "waiting, step 0 of 2"/);
    expect(await ui.update('resume')).toBe('');
    await expect.poll(() => ui.details(), { timeout: 400_000, interval: 1000 }).toMatch(/is finished[^]*Weights \w{64}/);
    await ui.picture('finished');
    await ui.tab('history');
    await ui.page.getByText('Completed').first().waitFor();
    await ui.picture('history');
    expect(await audited(run)).toEqual([['runCreated', 'unverified', ''], ['runPaused', 'unverified', ''], ['settingAmended', 'unverified', ''], ['runResumed', 'unverified', '']]);
    const verified = await cli(home, ['verify', run]);
    expect(verified.code, verified.stdout).toBe(0);
  });

  it('another is stopped; a search finds both by recipe and status', async () => {
    const run = 'by-hand-2';
    await ui.start({ id: run, queue: 'stemma-worker', type: 'trainingRun', input: { recipe, seed: 2 } });
    expect(await ui.update('stop')).toBe('');
    await expect.poll(() => ui.details(), { timeout: 240_000, interval: 1000 }).toMatch(/is stopped[^]*stop was requested/);
    expect(await audited(run)).toEqual([['runCreated', 'unverified', ''], ['runStopRequested', 'unverified', '']]);
    await ui.page.goto(`${new URL(ui.page.url()).origin}/namespaces/default/workflows?query=${encodeURIComponent('StemmaRecipe = "micro" AND StemmaStatus = "stopped" AND WorkflowType = "trainingRun"')}`);
    await ui.page.getByRole('link', { name: run }).first().waitFor();
    await ui.picture('found');
  });
});
