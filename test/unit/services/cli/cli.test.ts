import { existsSync, readdirSync, readFileSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDirectoryBlobs } from '../../../../services/adapters/blob/directory.js';
import { runCli } from '../../../../services/cli/run-cli.js';
import { scriptedPlatform } from './scripted-platform.js';
import type { Scripted } from './scripted-platform.js';

let here: Scripted;
beforeEach(async () => { here = await scriptedPlatform(); });
afterEach(() => here.close());

const cli = (...args: string[]): Promise<number> => runCli(here.deps, args);
const out = (): string => here.out.join('\n');
const err = (): string => here.err.join('\n');

describe('quickstart', () => {
  it('shows where to look, progress, the table and the report', async () => {
    expect(await cli('quickstart', '--recipe', 'micro')).toBe(0);
    expect(err()).toContain('Run micro-s1-1: recipe micro, seed 1.');
    expect(err()).toMatch(/Temporal UI +http:\/\/127.0.0.1:8233/);
    expect(err()).toMatch(/✓ search-rl +step +1\/2 +reward 0\.750 +10\.0 tokens\/s +took 2 s/);
    expect(out()).toMatch(/student +0\.850 +0\.850 +0\.850 +0\.850 +0\.850 +−0\.050/);
    expect(out()).toMatch(/search teacher +0\.900 +0\.400/);
    expect(out()).toMatch(/routed oracle +0\.900 +0\.900 +0\.900 +0\.900 +0\.900/);
    const report = join(here.home, 'reports', 'micro-s1-1.html');
    expect(out()).toContain(report);
    expect(readFileSync(report, 'utf8')).toContain('<svg');
  });

  it('prints one JSON line of the agreed shape, and nothing else, on stdout', async () => {
    expect(await cli('quickstart', '--recipe', 'micro', '--seed', '7', '--json')).toBe(0);
    expect(here.out).toHaveLength(1);
    const outcome = JSON.parse(out()) as { [key: string]: unknown };
    const each = (value: number) => ({ search: value, science: value, instruction: value, tools: value });
    const teacher = (domain: string) => ({ ...each(0.4), [domain]: 0.9 });
    expect(outcome).toEqual({
      run: 'micro-s7-1', seed: 7, weights: 'sha256:aaaa-distill',
      seconds: { total: 18, compute: 13.5, orchestration: 2.25, waiting: 2.25 },
      accuracy: { sft: each(0.5), teachers: { search: teacher('search'), science: teacher('science'), instruction: teacher('instruction'), tools: teacher('tools') }, student: each(0.85) },
      rho: each(0.95),
      steps: { sft: 1, 'search-rl': 1, 'science-sft1': 1, 'science-sft2': 1, 'instruction-rl1': 1, 'instruction-rl2': 1, 'tools-sft': 1, 'tools-rl': 1, distill: 1 },
      episodes: 18, peakMemoryMiB: 321,
    });
    expect(Object.keys(outcome)).toEqual(['run', 'seed', 'weights', 'seconds', 'accuracy', 'rho', 'steps', 'episodes', 'peakMemoryMiB']);
  });

  it('stops gracefully at Ctrl-C, and the same command goes on and says from where', async () => {
    here.until = 'sft';
    const first = cli('quickstart', '--recipe', 'micro');
    await here.said('sft');
    here.signals.emit('SIGINT', 'SIGINT');
    expect(await first).toBe(130);
    expect(err()).toMatch(/Stopped \(sft, step 0 of 3; 0 of 9 stages done\)\. The same command goes on from here\./);
    here.until = 'end';
    expect(await cli('quickstart', '--recipe', 'micro')).toBe(0);
    expect(err()).toContain('Going on with run micro-s1-1 from where it was: sft, step 0 of 3; 0 of 9 stages done.');
    expect(here.submitted.map(({ run }) => run)).toEqual(['micro-s1-1', 'micro-s1-1']);
    // A finished run is not gone on with.
    expect(await cli('quickstart', '--recipe', 'micro')).toBe(0);
    expect(here.submitted.at(-1)?.run).toBe('micro-s1-2');
  });

  it('--fresh starts anew beside an unfinished run; another seed has its own runs', async () => {
    here.until = 'sft';
    const first = cli('quickstart', '--recipe', 'micro');
    await here.said('step');
    here.signals.emit('SIGTERM', 'SIGTERM');
    await first;
    here.until = 'end';
    expect(await cli('quickstart', '--recipe', 'micro', '--fresh')).toBe(0);
    expect(err()).toContain('Run micro-s1-1 is left unfinished.');
    expect(await cli('quickstart', '--recipe', 'micro', '--seed', '2')).toBe(0);
    expect(here.submitted.map(({ run }) => run)).toEqual(['micro-s1-1', 'micro-s1-2', 'micro-s2-1']);
  });

  it('says why a run failed', async () => {
    here.until = 'failure';
    expect(await cli('quickstart', '--recipe', 'micro')).toBe(1);
    expect(err()).toMatch(/stemma: run micro-s1-1 failed: too few members of tools\n→ /);
  });

  it('refuses a log that has no adapter, a wrong recipe and a wrong seed before anything starts', async () => {
    expect(await cli('quickstart', '--log', 'redis://x')).toBe(1);
    expect(err()).toMatch(/expected kafka:\/\/host:port\[,host:port …\] or embedded, got 'redis:\/\/x'/);
    expect(await cli('quickstart', '--recipe', 'huge')).not.toBe(0);
    expect(await cli('quickstart', '--seed', 'x')).not.toBe(0);
    expect(err()).toMatch(/Allowed choices are micro, tiny[^]*expected an integer from 0/);
    expect(here.submitted).toEqual([]);
    expect(existsSync(join(here.home, 'log'))).toBe(false);
  });

  it('on a terminal rewrites its lines in place', async () => {
    await here.close();
    here = await scriptedPlatform({ isTty: true });
    expect(await cli('quickstart', '--recipe', 'micro')).toBe(0);
    const last = here.painted.join('');
    expect(last).toContain('✓ distill');
    expect(here.err.some((line) => line.includes('✓'))).toBe(false);
  });
});

describe('the other commands', () => {
  it('status lists runs and shows one', async () => {
    expect(await cli('status')).toBe(0);
    expect(err()).toContain('No runs yet');
    await cli('quickstart', '--recipe', 'micro', '--json');
    here.out.length = 0;
    expect(await cli('status')).toBe(0);
    expect(out()).toMatch(/micro-s1-1 +finished +9\/9 stages/);
    here.out.length = 0;
    expect(await cli('status', 'micro-s1-1')).toBe(0);
    expect(out()).toMatch(/run micro-s1-1: finished; recipe micro, seed 1/);
    expect(out()).toContain('routed oracle');
  });

  it('watch ends with the run and refuses one that is not there', async () => {
    await cli('quickstart', '--recipe', 'micro', '--json');
    expect(await cli('watch', 'micro-s1-1')).toBe(0);
    expect(out()).toContain('run micro-s1-1: finished');
    expect(await cli('watch', 'nobody')).toBe(1);
    expect(err()).toMatch(/there is no run 'nobody'\n→ Known runs, newest first: micro-s1-1/);
  });

  it('pause, resume, stop and amend become facts with a name', async () => {
    expect(await cli('pause', 'r')).toBe(1);
    expect(err()).toContain('no platform is running');
    here.isUp = true;
    for (const action of ['pause', 'resume', 'stop']) expect(await cli(action, 'r')).toBe(0);
    expect(await cli('amend', 'r', 'distill', 'optimizer.learningRate', '0.001')).toBe(0);
    expect(err()).toContain('From step 7 of distill on, optimizer.learningRate is 0.001.');
    expect(here.controls.map(({ action, updateId, stage, value }) => [action, updateId, stage, value])).toEqual([
      ['pause', 'update-1', undefined, undefined], ['resume', 'update-2', undefined, undefined], ['stop', 'update-3', undefined, undefined],
      ['amend', 'update-4', 'distill', 0.001],
    ]);
  });

  it('run submits to a running platform, or runs here', async () => {
    expect(await cli('run', 'micro', '--json')).toBe(0);
    here.isUp = true;
    here.out.length = 0;
    expect(await cli('run', 'micro', '--seed', '3')).toBe(0);
    expect(out()).toBe('micro-s3-1');
    expect(await cli('run', 'no-such')).toBe(1);
    expect(err()).toContain("no recipe 'no-such'");
  });

  it('fork submits to a running platform what it shares', async () => {
    await cli('quickstart', '--recipe', 'micro', '--json');
    here.isUp = true;
    here.out.length = 0;
    expect(await cli('fork', 'micro-s1-1', '--stage', 'distill', '--at', '0', '--set', 'sva.topK=8'), err()).toBe(0);
    const submitted = here.submitted.at(-1);
    expect(submitted).toMatchObject({ recipe: 'micro', seed: 1, fork: { parent: 'micro-s1-1', stage: 'distill', step: 0, settings: [{ path: 'sva.topK', value: 8 }] } });
    expect(out()).toBe(submitted?.run);
    expect(err()).toContain(`Submitted. Follow it with: stemma watch ${submitted?.run}`);
  });

  it('run refuses pretrained weights before anything starts', async () => {
    expect(await cli('run', 'agents-a1')).toBe(1);
    expect(err()).toMatch(/starts from the pretrained weights Qwen\/Qwen3.5-35B-A3B[^]*→ Run `tiny`/);
    expect(here.submitted).toEqual([]);
  });

  it('lineage goes from weights to episodes and teachers, and back', async () => {
    await cli('quickstart', '--recipe', 'micro', '--json');
    here.out.length = 0;
    expect(await cli('lineage', 'distill.e0')).toBe(0);
    expect(out()).toMatch(/learned from in distill step 1/);
    expect(await cli('lineage', 'ffff0123')).toBe(1);
    expect(err()).toContain("no run knows weights, an episode or a prompt named 'ffff0123'");
  });

  it('lineage goes from a prompt forward to its episodes, batches and weights', async () => {
    await cli('quickstart', '--recipe', 'micro', '--json');
    here.out.length = 0;
    expect(await cli('lineage', 'search/train/1-hop/0')).toBe(0);
    expect(out()).toMatch(/^prompt search\/train\/1-hop\/0 \(search\): \d+ episodes, \d+ batches$/m);
    expect(out()).toMatch(/episode distill\.e0 +distill step 1 \(train\) .*distill step 1 → weights aaaa-distill/);
    expect(out()).toMatch(/has a part in distill \(through batch\): aaaa-distill/);
    here.out.length = 0;
    expect(await cli('lineage', 'search/train/1-hop/0', '--full', '--json')).toBe(0);
    expect(JSON.parse(out())).toMatchObject({ prompt: { task: 'search/train/1-hop/0', domain: 'search' } });
  });

  it('gc says what would go, removes only that, and only what is old enough', async () => {
    await cli('quickstart', '--recipe', 'micro', '--json');
    const root = join(here.home, 'blobs');
    const blobs = await openDirectoryBlobs(root);
    const [old, young] = [await blobs.put(new Uint8Array([1])), await blobs.put(new Uint8Array([2]))];
    for (const file of readdirSync(root, { recursive: true, withFileTypes: true })) {
      if (file.isFile() && file.name !== young.sha256) utimesSync(join(file.parentPath, file.name), 0, 0);
    }
    here.out.length = 0;
    expect(await cli('gc', '--dry-run')).toBe(0);
    expect(out()).toMatch(/^goes +1 blob of 1 B, reached by nothing$/m);
    expect(out()).toMatch(/^stays +1 blob of 1 B, reached by nothing but too young$/m);
    expect(out()).toContain('dry run: 1 blob of 1 B would go, nothing was removed');
    expect(await blobs.has(old)).toBe(true);
    expect(await cli('gc')).toBe(0);
    expect(out()).toContain('removed: 1 blob of 1 B');
    expect([await blobs.has(old), await blobs.has(young)]).toEqual([false, true]);
    here.out.length = 0;
    expect(await cli('lineage', 'distill.e0')).toBe(0);
    expect(await cli('gc', '--older-than', '1m')).toBe(1);
    expect(err()).toContain('--older-than: from 1h in this store');
  });

  it('verify audits the ledger and the blobs', async () => {
    await cli('quickstart', '--recipe', 'micro', '--json');
    here.out.length = 0;
    // The script's hashes are made up: each is named, with the stream and the event. test/e2e has the clean runs.
    expect(await cli('verify', 'micro-s1-1')).toBe(1);
    expect(out()).toContain('run, stageStarted sft: the settings hash of stage sft is not that of its recipe');
    expect(out()).toContain('stage distill, batchClosed 1: the batch of step 1 of distill: its id is not the hash of stage, step and batch');
    expect(out()).toMatch(/^\d+ violations: 18 episodes, 2 blobs checked$/m);
  });

  it('a bad environment is one message', async () => {
    const deps = { ...here.deps, config: () => { throw Object.assign(new Error('no space left'), { code: 'ENOSPC' }); } };
    expect(await runCli(deps, ['status'])).toBe(1);
    expect(err()).toMatch(/^stemma: no space left\n→ The disk is full/);
    expect(await runCli(deps, ['--verbose', 'status'])).toBe(1);
    expect(err()).toMatch(/cli\.test\.ts/);
  });
});
