/** A worker's process that is stopped while a workflow decides, and let go on: the decision is made, the process lives. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildWorkflowBundle } from '../../../services/worker/bundle.js';
import { statOf } from '../../support/proc-stat.js';
import { openTemporalBench, type TemporalBench } from '../../support/temporal-bench.js';
import { NO_TEMPORAL, findTemporal } from '../../support/temporal-executable.js';

const executable = findTemporal();
const SUPPORT = resolve(import.meta.dirname, '../../support');
/** Longer than the five seconds after which Temporal's SDK interrupts a decision if it is told nothing. */
const STOPPED_MS = 6000;
const DECIDES_MS = 3000;
const TICK_MS = 10;

describe.skipIf(executable === undefined)(`a worker stopped for ${STOPPED_MS} ms while a workflow decides${executable === undefined ? ` (${NO_TEMPORAL})` : ''}`, () => {
  let bench: TemporalBench;
  let directory: string;
  let worker: ChildProcess;
  beforeAll(async () => {
    bench = await openTemporalBench(executable as string);
    directory = mkdtempSync(join(tmpdir(), 'stemma-busy-'));
  });
  afterAll(async () => {
    worker?.kill('SIGKILL');
    await bench?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  it('goes on and decides', async () => {
    const bundle = join(directory, 'bundle.js');
    writeFileSync(bundle, (await buildWorkflowBundle(join(SUPPORT, 'busy-workflow.ts'))).code);
    worker = spawn(process.execPath, [join(SUPPORT, 'busy-worker.mjs'), bench.server.address, bench.server.namespace, bundle], { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = createInterface({ input: worker.stdout as NodeJS.ReadableStream });
    await told(lines, 'hosted');
    const handle = await bench.client.workflow.start('busy', { taskQueue: 'stemma-worker', workflowId: 'busy', args: [iterationsOf(DECIDES_MS)] });
    await told(lines, 'deciding');
    const pid = worker.pid as number;
    await burns(pid, DECIDES_MS / 6);
    process.kill(pid, 'SIGSTOP');
    await delay(STOPPED_MS);
    process.kill(pid, 'SIGCONT');
    expect(await Promise.race([handle.result(), exit(worker)])).toBeTypeOf('number');
  });
});

function told(lines: Interface, line: string): Promise<void> {
  return new Promise((resolve) => {
    lines.on('line', function heard(said: string) {
      if (said !== line) return;
      lines.off('line', heard);
      resolve();
    });
  });
}

async function exit(child: ChildProcess): Promise<string> {
  const [code, signal] = await once(child, 'exit') as [number | null, string | null];
  return `the worker's process ended: ${code ?? signal}`;
}

/** How far this machine counts in so long. */
function iterationsOf(ms: number): number {
  const some = 20_000_000;
  const before = performance.now();
  let sum = 0;
  for (let index = 0; index < some; index++) sum = (sum + index) % 1_000_003;
  expect(sum).toBeGreaterThan(0);
  return Math.round(some * ms / (performance.now() - before));
}

/** Until the process has used so much more of the processor. */
async function burns(pid: number, ms: number): Promise<void> {
  const enough = used(pid) + ms;
  while (used(pid) < enough) await delay(TICK_MS);
}

/** utime and stime, in ticks of a hundredth of a second. */
function used(pid: number): number {
  const stat = statOf(pid);
  if (stat === undefined) throw new Error(`process ${pid} is gone`);
  return (Number(stat[11]) + Number(stat[12])) * TICK_MS;
}
