/**
 * What each service says of itself when something it needs is away, hangs, or is gone for good, and when it is back: real processes,
 * really stopped. Live is never lost to another's fault: starting a service again would not bring back what it waits for.
 */
import { chmodSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { ClusterPart } from '../../services/cli/platform.js';
import { readConfig } from '../../services/runtime/config.js';
import { partsOf } from '../faults/harness/parts.js';
import { startCluster, type RunningCluster } from '../support/cluster.js';
import { pidOf, startUp, type Quickstart } from '../support/quickstart.js';
import { describeWithKafka } from '../support/real-kafka.js';

const PATIENCE = { timeout: 120_000, interval: 100 };
const WITH_SIDECAR = ['teacher-scoring', 'learner', 'distiller', 'rollout-1'];

interface Said {
  readonly status: number;
  readonly text: string;
}

async function ask(metrics: string, path: '/healthz' | '/readyz'): Promise<Said> {
  const answer = await fetch(new URL(path, metrics));
  return { status: answer.status, text: await answer.text() };
}

/** Until it is ready (''), or names this as what is missing; live all the while. */
async function says(metrics: string, missing: string): Promise<void> {
  await vi.waitFor(async () => expect(await ask(metrics, '/readyz')).toEqual(missing === '' ? { status: 200, text: 'ok\n' }
    : { status: 503, text: expect.stringMatching(new RegExp(`^${missing}: `, 'm')) as string }), PATIENCE);
  expect(await ask(metrics, '/healthz')).toEqual({ status: 200, text: 'ok\n' });
}

async function whileStopped(pid: number, meanwhile: () => Promise<void>): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  try {
    await meanwhile();
  } finally {
    process.kill(pid, 'SIGCONT');
  }
}

describe('a platform in one process', () => {
  const home = mkdtempSync(join(tmpdir(), 'stemma-health-'));
  let up: Quickstart;
  let metrics = '';
  beforeAll(async () => {
    up = startUp(home, []);
    metrics = await vi.waitFor(() => /metrics\s+(http\S+)/.exec(up.stderr())?.[1] ?? expect.fail('not yet'), PATIENCE);
  });
  afterAll(async () => {
    up.process.kill('SIGTERM');
    await up.ended;
    rmSync(home, { recursive: true, force: true });
  });

  it('is not ready without its log, its sidecar or Temporal, and ready again with them', async () => {
    await says(metrics, '');
    renameSync(join(home, 'log'), join(home, 'gone'));
    await says(metrics, 'log');
    renameSync(join(home, 'gone'), join(home, 'log'));
    await says(metrics, '');
    for (const part of ['sidecar', 'temporal'] as const) {
      await whileStopped(pidOf(up, part)!, () => says(metrics, part));
      await says(metrics, '');
    }
  });
});

describeWithKafka('services of their own', () => {
  const folder = mkdtempSync(join(tmpdir(), 'stemma-python-'));
  const broken = join(folder, 'broken');
  let running: RunningCluster;
  let services: readonly (ClusterPart & { readonly metrics: string })[];
  beforeAll(async () => {
    running = await startCluster(1, { STEMMA_PYTHON: breakable(folder, broken) });
    services = running.cluster.parts.flatMap((part) => (part.metrics === undefined ? [] : [{ ...part, metrics: part.metrics }]));
  });
  afterAll(async () => {
    await (running as RunningCluster | undefined)?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const all = async (missing: string, which = services.map(({ name }) => name)): Promise<void> => {
    await Promise.all(services.filter(({ name }) => which.includes(name)).map((service) => says(service.metrics, missing)));
  };
  const launcher = (): string => running.cluster.addresses.metrics.split(' ')[0]!;

  it('are ready once they have started, and say so together', async () => {
    expect(services.map(({ name }) => name).sort()).toEqual(['distiller', 'gateway', 'learner', 'rollout-1', 'teacher-scoring', 'worker']);
    await all('');
    await says(launcher(), '');
  });

  it('are not ready while the log hangs', async () => {
    await running.whileStopped('broker', () => all('log').then(() => says(launcher(), 'gateway')));
    await all('');
  });

  it('are not ready while Temporal hangs, but for teacher scoring, which needs none', async () => {
    const withTemporal = services.map(({ name }) => name).filter((name) => name !== 'teacher-scoring');
    await running.whileStopped('temporal', () => all('temporal', withTemporal).then(() => all('', ['teacher-scoring'])));
    await all('');
  });

  it.each(WITH_SIDECAR)('%s is not ready while its sidecar hangs; the others are', async (name) => {
    const others = services.map((service) => service.name).filter((other) => other !== name);
    await whileStopped(partsOf(running.home).get(`${name}-sidecar`)!, () => all('sidecar', [name]).then(() => all('', others)));
    await all('');
  });

  it('end when their sidecars cannot be started any more, and come back when they can', async () => {
    const before = running.deaths.length;
    const back = WITH_SIDECAR.map((name) => new Promise<void>((resolve) => running.part(name).onRestart(resolve)));
    writeFileSync(broken, '');
    for (const name of WITH_SIDECAR) process.kill(partsOf(running.home).get(`${name}-sidecar`)!, 'SIGKILL');
    await vi.waitFor(() => expect(running.deaths.slice(before)).toEqual(expect.arrayContaining(WITH_SIDECAR)), PATIENCE);
    const exits = new Map(running.exits.slice(before).reverse());
    const said = { code: 1, signal: null, lastLines: expect.arrayContaining([expect.stringContaining('the sidecar ended for good'), expect.stringContaining('this Python is broken')]) as string[] };
    for (const name of WITH_SIDECAR) expect(exits.get(name)).toMatchObject(said);
    rmSync(broken);
    await Promise.all(back);
    await all('');
  });
});

/** A Python that ends at once while the file is there. */
function breakable(folder: string, file: string): string {
  const script = join(folder, 'python');
  writeFileSync(script, `#!/bin/sh\n[ -e "${file}" ] && echo "this Python is broken" && exit 3\nexec "${readConfig().tools.python}" "$@"\n`);
  chmodSync(script, 0o755);
  return script;
}
