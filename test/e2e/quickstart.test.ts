/** What a user sees: the quickstart on the micro recipe with real parts, interrupted and gone on with, and the commands on what it left. */
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { DOMAINS } from '../../core/environment.js';
import { newHome } from '../support/homes.js';
import { cli, startQuickstart, type QuickstartResult } from '../support/quickstart.js';
import { whenStanding } from '../support/stage-watch.js';

const RUN = 'micro-s7-1';
const ARGS = ['--recipe', 'micro', '--seed', '7', '--json'];
const home = newHome();

let interrupted: QuickstartResult;
let second: QuickstartResult;
let finished: QuickstartResult;

beforeAll(async () => {
  const first = startQuickstart(home, ARGS);
  const at = { home, run: RUN, stage: 'search-rl' };
  await whenStanding(at, AbortSignal.timeout(240_000), ({ run }) => run.stages.has('search-rl'));
  second = await startQuickstart(home, ARGS).ended;
  first.process.kill('SIGINT');
  interrupted = await first.ended;
  finished = await startQuickstart(home, ARGS).ended;
}, 500_000);

interface Outcome {
  readonly run: string;
  readonly seed: number;
  readonly weights: string;
  readonly seconds: { readonly [part: string]: number };
  readonly accuracy: { readonly sft: object; readonly teachers: { readonly [domain: string]: object }; readonly student: object };
  readonly rho: object;
  readonly steps: { readonly [stage: string]: number };
  readonly episodes: number;
  readonly peakMemoryMiB: number;
}
const outcome = (): Outcome => JSON.parse(finished.stdout) as Outcome;

describe('quickstart', () => {
  it('refuses a second writer and says what to do', () => {
    expect(second.code).not.toBe(0);
    expect(second.stderr).toMatch(/in use by another Stemma process/);
    expect(second.stderr).toMatch(/--log kafka:\/\//);
  });

  it('ends on Ctrl-C with 130 and goes on from where it was', () => {
    expect(interrupted.code, interrupted.stderr).toBe(130);
    expect(finished.stderr).toMatch(/Going on with run micro-s7-1 from where it was: /);
  });

  it('prints one JSON line on stdout and everything else on stderr', () => {
    expect(finished.code, finished.stderr).toBe(0);
    expect(finished.stdout.trimEnd().split('\n')).toHaveLength(1);
    const { run, seed, weights, seconds, accuracy, rho, steps, episodes, peakMemoryMiB } = outcome();
    expect({ run, seed }).toEqual({ run: RUN, seed: 7 });
    expect(weights).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(Object.keys(seconds)).toEqual(['total', 'compute', 'orchestration', 'waiting']);
    expect((seconds['compute'] ?? 0) + (seconds['orchestration'] ?? 0) + (seconds['waiting'] ?? 0)).toBeCloseTo(seconds['total'] ?? 0, 1);
    expect(Object.keys(accuracy.sft)).toEqual(DOMAINS);
    expect(Object.keys(accuracy.student)).toEqual(DOMAINS);
    expect(Object.keys(accuracy.teachers)).toEqual(DOMAINS);
    for (const domain of DOMAINS) expect(Object.keys(accuracy.teachers[domain] ?? {})).toEqual(DOMAINS);
    expect(Object.keys(rho)).toEqual(DOMAINS);
    expect(steps['distill']).toBe(2);
    expect(episodes).toBeGreaterThan(100);
    expect(peakMemoryMiB).toBeGreaterThan(100);
  });

  it('shows the table and writes a report that needs nothing else', () => {
    expect(finished.stderr).toContain('routed oracle');
    const report = /report\s+(\S+\.html)/.exec(finished.stderr)?.[1] ?? '';
    const html = readFileSync(report, 'utf8');
    expect(html).toContain('<svg');
    expect(html).not.toMatch(/(src|href)="https?:/);
  });
});

describe('the commands on a finished run', () => {
  it('verify: the ledger is clean', async () => {
    const result = await cli(home, ['verify', RUN]);
    expect(result.code, result.stdout).toBe(0);
    expect(result.stdout).toContain('CLEAN');
  });

  it('lineage: from the weights to teachers, episodes and prompts, and from an episode to the weights', async () => {
    const backwards = await cli(home, ['lineage', outcome().weights, '--full']);
    expect(backwards.code, backwards.stderr).toBe(0);
    const episode = /distill\.1\.0\.\d+\.0/.exec(backwards.stdout)?.[0] ?? '';
    expect(episode).not.toBe('');
    const forwards = await cli(home, ['lineage', episode]);
    expect(forwards.code, forwards.stderr).toBe(0);
    expect(forwards.stdout).toContain(outcome().weights.slice('sha256:'.length, 'sha256:'.length + 8));
  });

  it('export: a Hugging Face directory', async () => {
    const directory = join(home, 'exported');
    const result = await cli(home, ['export', RUN, directory]);
    expect(result.code, result.stderr).toBe(0);
    for (const file of ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json']) {
      expect(existsSync(join(directory, file)), file).toBe(true);
    }
  });

  it('replay: IDENTICAL; after a batch blob is altered, the blob is named', async () => {
    const same = await cli(home, ['replay', RUN]);
    expect(same.code, same.stderr).toBe(0);
    expect(same.stdout).toContain('IDENTICAL');
    const { directory, file } = await batchBlob();
    const bytes = readFileSync(join(directory, file));
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    writeFileSync(join(directory, file), bytes);
    const tampered = await cli(home, ['replay', RUN]);
    expect(tampered.code).not.toBe(0);
    expect(tampered.stdout + tampered.stderr).toContain(file.slice(0, 12));
  });
});

/** A blob that holds a closed batch: the one the first distillation step named. */
async function batchBlob(): Promise<{ directory: string; file: string }> {
  const { stage } = await whenStanding({ home, run: RUN, stage: 'distill' }, AbortSignal.timeout(5000), () => true);
  const file = stage.committed[0]?.closed?.batch?.sha256 ?? '';
  const root = join(home, 'blobs');
  const folder = readdirSync(root).find((name) => statSync(join(root, name)).isDirectory() && file.startsWith(name)) ?? '';
  return { directory: join(root, folder), file };
}
