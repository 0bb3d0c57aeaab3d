/**
 * Alerts fired by real faults in live runs, side by side with a real Prometheus: STEMMA_TEST_ALERTS=FILE npm run test:e2e -- observability-faults
 * (two minutes; the table goes to FILE). Minutes are seconds here, in windows and in `for` alike; the rules are otherwise the committed ones.
 */
import { readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { freePorts } from '../../services/runtime/free-port.js';
import { RULES } from '../support/alert-rules.js';
import { newHome } from '../support/homes.js';
import { describeWithPrometheus, startPrometheus, type Prometheus } from '../support/prometheus.js';
import { cli, pidOf, startUp, type Quickstart } from '../support/quickstart.js';
import { canMount, mountSmallDisk, type SmallDisk } from '../support/small-disk.js';
import { whenStanding } from '../support/stage-watch.js';

const FILE = process.env['STEMMA_TEST_ALERTS'] ?? '';
const WITHIN_MS = 90_000;

/** [10m] → [10s], for: 5m → for: 5s, an hour → a minute; and half an hour of unsaved work → half a second, for steps of a tenth. */
function hastened(rules: string): string {
  return rules.replaceAll(/(\[|offset |for: )(\d+)m/g, '$1$2s').replaceAll('[1h]', '[1m]').replaceAll('4 * 3600', '4 * 60').replaceAll('unsaved_seconds) > 1800', 'unsaved_seconds) > 0.5');
}

/** For all of the process, worker threads included. */
const LATE_CLOCK = `data:text/javascript,${encodeURIComponent('const D=Date;globalThis.Date=class extends D{constructor(...a){a.length?super(...a):super(D.now()-7000)}static now(){return D.now()-7000}}')}`;

interface Micro {
  name: string;
  snapshots: { everySteps: number };
  stages: { id: string; kind: string; steps: number; evaluate: boolean; optimizer: object; [setting: string]: unknown }[];
  teachers: { [domain: string]: string };
}

const micro = (): Micro => parse(readFileSync(join(import.meta.dirname, '../../recipes/micro.yaml'), 'utf8')) as Micro;

/** A long RL stage, three domains without a teacher, no snapshots. */
function drifting(): Micro {
  const recipe = micro();
  const [sft, rl, distill] = ['sft', 'search-rl', 'distill'].map((id) => ({ ...recipe.stages.find((stage) => stage.id === id)!, evaluate: false }));
  return {
    ...recipe, name: 'drifting', snapshots: { everySteps: 10_000 }, stages: [sft!, { ...rl!, steps: 5000 }, distill!],
    teachers: { search: 'search-rl', science: 'none', instruction: 'none', tools: 'none' },
  };
}

/** The gradient overflows. */
function exploding(): Micro {
  const recipe = micro();
  return { ...recipe, name: 'exploding', stages: recipe.stages.map((stage) => ({ ...stage, steps: 30, optimizer: { ...stage.optimizer, learningRate: 1e30 } })) };
}

describeWithPrometheus('alerts in live runs', () => {
  if (FILE === '') return void it.skip('only where STEMMA_TEST_ALERTS names a file', () => undefined);
  const directory = newHome();
  const home = join(directory, 'home');
  const fired: { readonly alert: string; readonly fault: string; readonly seconds: number }[] = [];
  let prometheus: Prometheus;
  let platform: Quickstart;
  let disk: SmallDisk | undefined;
  let blobs: string;

  const firing = async (alert: string): Promise<boolean> => {
    const now = Date.now() / 1000;
    return (await prometheus.range(`ALERTS{alertname="${alert}", alertstate="firing"}`, now - 1, now, 1)).length > 0;
  };
  const fires = async (alert: string, fault: string): Promise<void> => {
    const startedMs = performance.now();
    while (!(await firing(alert))) {
      if (performance.now() - startedMs > WITHIN_MS) throw new Error(`${alert} did not fire\n${platform.stderr()}`);
      await delay(500);
    }
    fired.push({ alert, fault, seconds: Math.round((performance.now() - startedMs) / 1000) });
  };
  const run = async (recipe: Micro): Promise<string> => {
    const file = join(directory, `${recipe.name}.yaml`);
    writeFileSync(file, stringify(recipe, { aliasDuplicateObjects: false }));
    const { code, stdout, stderr } = await cli(home, ['run', file, '--seed', '1', '--json']);
    expect(code, stderr).toBe(0);
    return stdout.trim();
  };

  beforeAll(async () => {
    const [port] = await freePorts(1);
    for (const file of ['recording.yaml', 'alerts.yaml']) writeFileSync(join(directory, file), hastened(readFileSync(join(RULES, file), 'utf8')));
    writeFileSync(join(directory, 'prometheus.yaml'), JSON.stringify({
      // A sidecar that does not answer delays a scrape by two seconds.
      global: { scrape_interval: '3s', scrape_timeout: '3s', evaluation_interval: '1s' }, rule_files: [join(directory, 'recording.yaml'), join(directory, 'alerts.yaml')],
      scrape_configs: [{ job_name: 'stemma', static_configs: [{ targets: [`127.0.0.1:${port}`] }] }],
    }));
    prometheus = await startPrometheus(directory, join(directory, 'prometheus.yaml'));
    disk = canMount() ? mountSmallDisk(128 * 1024) : undefined;
    blobs = join(disk?.directory ?? home, 'blobs');
    platform = startUp(home, [], { STEMMA_METRICS_PORT: String(port), STEMMA_BLOBS: blobs, NODE_OPTIONS: `--import=${LATE_CLOCK}` });
    while (!platform.stderr().includes('Ready.')) {
      if (platform.process.exitCode !== null) throw new Error(platform.stderr());
      await delay(200);
    }
  }, 120_000);
  afterAll(async () => {
    platform?.process.kill('SIGKILL');
    await platform?.ended;
    await prometheus?.stop();
    disk?.unmount();
    writeFileSync(FILE, ['| alert | fault | fired after |', '|---|---|---|', ...fired.map(({ alert, fault, seconds }) => `| ${alert} | ${fault} | ${seconds} s |`)].join('\n') + '\n');
  });

  it('StemmaClockSkew: the clock of the process goes seven seconds late', () => fires('StemmaClockSkew', 'Date of the process seven seconds late'), 120_000);

  it('a run that drifts apart: teachers left out, nothing saved, far from the reference', async () => {
    expect(await firing('StemmaTeacherUnrouted')).toBe(false);
    const drifts = await run(drifting());
    await fires('StemmaTeacherUnrouted', 'a recipe that routes three domains to none');
    await fires('StemmaSnapshotOld', 'a recipe without snapshots');
    expect([await firing('StemmaKlExplosion'), await firing('StemmaEntropyCollapse')]).toEqual([false, false]);
    const amended = await cli(home, ['amend', drifts, 'search-rl', 'optimizer.learningRate', '3']);
    expect(amended.code, amended.stderr).toBe(0);
    await fires('StemmaKlExplosion', 'learning rate of a live RL stage amended to 3');
    await fires('StemmaEntropyCollapse', 'the same');
    await cli(home, ['stop', drifts]);
  }, 300_000);

  it('a run whose gradient overflows', async () => {
    expect(await firing('StemmaNotFinite')).toBe(false);
    await run(exploding());
    await fires('StemmaNotFinite', 'learning rate 1e30');
    await fires('StemmaRunFailed', 'the same');
  }, 300_000);

  it('a sidecar that hangs in mid-run', async () => {
    expect(await firing('StemmaNoProgress')).toBe(false);
    await run({ ...micro(), name: 'long', stages: micro().stages.map((stage) => ({ ...stage, steps: 200 })) });
    await delay(5000);
    const sidecar = pidOf(platform, 'sidecar')!;
    process.kill(sidecar, 'SIGSTOP');
    try {
      await fires('StemmaSidecarDown', 'SIGSTOP of the sidecar');
      await fires('StemmaNoProgress', 'the same');
    } finally {
      process.kill(sidecar, 'SIGCONT');
    }
  }, 300_000);

  it('a teacher that is gone', async () => {
    const [sft, rl, distill] = ['sft', 'search-rl', 'distill'].map((id) => ({ ...micro().stages.find((stage) => stage.id === id)!, evaluate: false }));
    const orphaned = await run({ ...drifting(), name: 'orphaned', stages: [sft!, rl!, { ...distill!, steps: 5000 }] });
    const { run: now } = await whenStanding({ home, run: orphaned, stage: 'distill' }, AbortSignal.timeout(60_000), ({ stage }) => stage.committed.length > 2);
    expect(await firing('StemmaTeacherFailing')).toBe(false);
    const { sha256 = '' } = now.stages.get('search-rl')?.result?.weights ?? {};
    rmSync(join(blobs, sha256.slice(0, 2), sha256));
    // One that starts anew has no teacher in memory.
    process.kill(pidOf(platform, 'sidecar')!, 'SIGKILL');
    await fires('StemmaTeacherFailing', 'blob of the teacher removed, sidecar killed');
    await cli(home, ['stop', orphaned]);
  }, 300_000);

  it.skipIf(!canMount())('a disk that fills', async () => {
    const { bavail, bsize } = statfsSync(disk!.directory);
    writeFileSync(join(disk!.directory, 'ballast'), new Uint8Array(Math.floor(bavail * bsize * 0.97)));
    await fires('StemmaDiskFilling', 'the disk of the blobs filled to 3 %');
  }, 120_000);

  it('a process that dies', async () => {
    platform.process.kill('SIGKILL');
    await fires('StemmaDown', 'SIGKILL of the platform');
  }, 120_000);
});
