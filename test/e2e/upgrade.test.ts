/**
 * The program is replaced in the middle of a run by a later version of itself, whose workflows do more: the run goes on in
 * Temporal's history and ends in the same weights. docs/decisions/worker-versioning.md.
 */
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { expect, it } from 'vitest';
import { freePorts } from '../../services/runtime/free-port.js';
import { startRunWorkflow } from '../../services/worker/start-runs.js';
import type { RunOutcome } from '../../workflows/training-run.js';
import { newHome } from '../support/homes.js';
import { cli, weightsOfMicroAlone } from '../support/quickstart.js';
import { whenStanding } from '../support/stage-watch.js';
import { changedRun } from '../support/workflow-versions.js';

const ROOT = resolve(import.meta.dirname, '../..');
const RUN = 'micro-s1-1';

/** A checkout of the later version: everything as here, but for what its workflows do before each stage. */
function laterVersion(): string {
  const directory = newHome();
  for (const shared of ['node_modules', 'kernels', 'recipes', 'proto', '.stemma']) symlinkSync(join(ROOT, shared), join(directory, shared));
  cpSync(join(ROOT, 'package.json'), join(directory, 'package.json'));
  cpSync(join(ROOT, 'dist'), join(directory, 'dist'), { recursive: true });
  rmSync(join(directory, 'dist/workflow-bundle.js'), { force: true });
  const file = join(directory, 'dist/workflows/training-run.js');
  writeFileSync(file, changedRun(readFileSync(file, 'utf8'), 'patched'));
  return directory;
}

interface Up {
  /** Ends it as Ctrl-C does. */
  stop(): Promise<void>;
}

function startVersion(root: string, home: string, port: number): Up {
  mkdirSync(home, { recursive: true });
  const child = spawn(process.execPath, [join(root, 'dist/services/cli/main.js'), 'up'], { env: { ...process.env, STEMMA_HOME: home, STEMMA_TEMPORAL_PORT: String(port) }, stdio: 'ignore' });
  const ended = new Promise<void>((done) => child.once('close', () => done()));
  return {
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

async function whenServed(address: string): Promise<Client> {
  const signal = AbortSignal.timeout(240_000);
  for (;;) {
    signal.throwIfAborted();
    const connection = await Connection.connect({ address, connectTimeout: '2 seconds' }).catch(() => undefined);
    if (connection) return new Client({ connection });
  }
}

it('another version of the program finishes the run that this one began, to the same weights', async () => {
  const weightsHash = await weightsOfMicroAlone();
  const home = newHome();
  const [port = 0] = await freePorts(1);
  const address = `127.0.0.1:${port}`;
  const first = startVersion(ROOT, home, port);
  const before = await whenServed(address);
  await startRunWorkflow(before, { run: RUN, input: { recipe: 'micro', seed: 1 } });
  await whenStanding({ home, run: RUN, stage: 'search-rl' }, AbortSignal.timeout(240_000), (now) => now.run.stages.has('search-rl'));
  await before.connection.close();
  await first.stop();

  const second = startVersion(laterVersion(), home, port);
  const client = await whenServed(address);
  const handle = client.workflow.getHandle(RUN);
  const outcome = await handle.result() as RunOutcome;
  const { events } = await handle.fetchHistory();
  await client.connection.close();
  await second.stop();
  expect(outcome).toEqual({ run: RUN, status: 'finished', weightsHash });
  expect(events?.filter(({ workflowTaskFailedEventAttributes: failed }) => failed)).toEqual([]);
  expect(new Set(events?.flatMap(({ workflowTaskCompletedEventAttributes: done }) => done?.workerVersion?.buildId ?? [])).size).toBe(2);
  const stepsBefore = events?.filter(({ timerStartedEventAttributes: timer }) => timer).length ?? 0;
  expect(stepsBefore).toBeGreaterThan(0);
  const verified = await cli(home, ['verify', RUN]);
  expect(verified.code, verified.stdout).toBe(0);
});
