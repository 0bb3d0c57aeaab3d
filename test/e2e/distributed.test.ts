/**
 * The micro recipe with every service a process of its own over a real broker, any number of rollout workers: the same ledger by
 * meaning and the same weights as in one process over the embedded log, also when each service is killed or hangs on the way.
 * `npm test` runs it once, with two rollout workers and the faults inside, and once over mutual TLS; STEMMA_TEST_DISTRIBUTED=all adds 1, 2 and 4 left alone.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { openDirectoryBlobs } from '../../services/adapters/blob/directory.js';
import { openEmbeddedLogs } from '../../services/adapters/log/embedded.js';
import { readRun, type RunSnapshot } from '../../services/cli/run-reader.js';
import { meaningOf, startCluster, type RunningCluster } from '../support/cluster.js';
import { listeningOf, reachableFromElsewhere } from '../support/listening.js';
import { cli, descendants, startQuickstart } from '../support/quickstart.js';
import { describeWithKafka } from '../support/real-kafka.js';
import { startSecureServices } from '../support/secure-services.js';

const RUN = 'micro-s1-1';
/** An activity's heartbeat time-out is 5 s (workflows/proxies.ts): whoever is silent for longer is given up. */
const LONGER_THAN_HEARTBEATS_MS = 7_000;

describeWithKafka('distributed mode', () => {
  const home = mkdtempSync(join(tmpdir(), 'stemma-one-process-'));
  let inOneProcess: unknown;
  let running: RunningCluster | undefined;
  beforeAll(async () => {
    const result = await startQuickstart(home, ['--recipe', 'micro', '--seed', '1', '--json']).ended;
    expect(result.code, result.stderr).toBe(0);
    const logs = await openEmbeddedLogs(join(home, 'log'));
    inOneProcess = await meaningOf({ logs, blobs: await openDirectoryBlobs(join(home, 'blobs')), close: () => logs.close() }, RUN);
    await logs.close();
  });
  afterAll(() => rmSync(home, { recursive: true, force: true }));
  afterEach(() => running?.close());

  it('says the same as one process, though each service is killed or hangs', async () => {
    running = await startCluster(2, {}, 2);
    const { cluster, part, killAndAwaitReturn, whileStopped, when, deaths } = running;
    await cluster.submit({ run: RUN, recipe: 'micro', seed: 1 });

    const listening = listeningOf([process.pid, ...descendants(process.pid)]);
    expect(listening.length).toBeGreaterThanOrEqual(14);
    expect(reachableFromElsewhere(listening)).toEqual([]);

    await when(RUN, stage('search-rl'));
    process.kill(part('rollout-1').pid(), 'SIGKILL');
    await when(RUN, stage('science-sft2'));
    await killAndAwaitReturn('worker');
    await whileStopped('rollout-2', () => Promise.all([delay(LONGER_THAN_HEARTBEATS_MS), when(RUN, stage('instruction-rl2'))]).then(() => undefined));
    await killAndAwaitReturn('learner');
    await when(RUN, ({ view }) => (view.stages.get('distill')?.requested.length ?? 0) > 0);
    process.kill(part('teacher-scoring-1').pid(), 'SIGKILL');
    await when(RUN, ({ view }) => (view.stages.get('distill')?.committed.length ?? 0) > 0);
    process.kill(part('distiller').pid(), 'SIGKILL');
    process.kill(part('gateway').pid(), 'SIGKILL');

    await finishesLikeOneProcess(running);
    // Nobody died whom the test did not kill: not even the one that woke after its work was given away.
    expect([...deaths].sort()).toEqual(['distiller', 'gateway', 'learner', 'rollout-1', 'teacher-scoring-1', 'worker']);
  });

  it('says the same with nothing between the services in plain text, though every certificate is replaced under way', async () => {
    const services = await startSecureServices();
    try {
      const { controls, stores, settings } = services;
      await controls.submit({ run: RUN, recipe: 'micro', seed: 1 });
      const view = async () => (await readRun(stores, RUN, 'stages').catch(() => null))?.view.run;
      await expect.poll(async () => (await view())?.stages.has('search-rl') ?? false, { timeout: 300_000, interval: 1000 }).toBe(true);
      services.renew();
      await expect.poll(async () => (await view())?.end, { timeout: 300_000, interval: 1000 }).toBeDefined();
      expect(await meaningOf(stores, RUN)).toEqual(inOneProcess);
      expect(services.deaths).toEqual([]);
      expect(services.said().every((lines) => lines.includes('new certificates are in use'))).toBe(true);
      const verified = await cli(services.home, ['verify', RUN], settings);
      expect(verified.stdout, verified.stderr).toMatch(/^CLEAN/);
    } finally {
      await services.close();
    }
  });

  it.runIf(process.env['STEMMA_TEST_DISTRIBUTED'] === 'all').each([1, 2, 4])('says the same with %i rollout workers left alone', async (rollouts) => {
    running = await startCluster(rollouts);
    await running.cluster.submit({ run: RUN, recipe: 'micro', seed: 1 });
    await finishesLikeOneProcess(running);
    expect(running.deaths).toEqual([]);
    expect((await cli(running.home, ['replay', RUN])).stdout).toContain('IDENTICAL');
  }, 600_000);

  async function finishesLikeOneProcess({ home: at, stores, when }: RunningCluster): Promise<void> {
    await when(RUN, ({ view }) => view.run.end !== undefined);
    expect(await meaningOf(stores, RUN)).toEqual(inOneProcess);
    const verified = await cli(at, ['verify', RUN]);
    expect(verified.code, verified.stdout + verified.stderr).toBe(0);
  }
});

const stage = (id: string) => ({ view }: RunSnapshot): boolean => view.run.stages.has(id);
