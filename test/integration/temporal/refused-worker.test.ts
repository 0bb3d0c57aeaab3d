/**
 * A server that refuses to describe its namespace, which each worker asks for until one has the answer: the process goes on when it is told, and comes to its
 * end in any case. Workers created side by side would differ then: the first is refused, the next has the answer; and one that is created and never runs keeps
 * the process from ending.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openGrpcProxy } from '../../support/grpc-proxy.js';
import { openTemporalBench, type TemporalBench } from '../../support/temporal-bench.js';
import { NO_TEMPORAL, findTemporal } from '../../support/temporal-executable.js';

const executable = findTemporal();
const WORKER = join(resolve(import.meta.dirname, '../../support'), 'passing-worker.mjs');

describe.skipIf(executable === undefined)(`a process whose workers are refused${executable === undefined ? ` (${NO_TEMPORAL})` : ''}`, () => {
  let bench: TemporalBench;
  beforeAll(async () => { bench = await openTemporalBench(executable as string); });
  afterAll(() => bench?.close());

  it.each([
    { case: 'once', refused: 1, withinMs: 60_000, last: 'started' },
    { case: 'for good', refused: Infinity, withinMs: 0, last: 'given up' },
  ])('$case, ends by itself', async ({ refused, withinMs, last }) => {
    let described = 0;
    const proxy = await openGrpcProxy(bench.server.address, (method) => {
      if (!method.endsWith('/DescribeNamespace')) return false;
      described += 1;
      return described <= refused;
    });
    const worker = spawn(process.execPath, [WORKER, proxy.address, bench.server.namespace, String(withinMs)], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      let heard = '';
      worker.stdout.on('data', (chunk: Buffer) => { heard += chunk.toString(); });
      const [code] = await once(worker, 'close') as [number | null];
      // The SDK may have asked again by itself.
      expect({ code, last: heard.trim().split('\n').at(-1) }).toEqual({ code: 0, last });
      expect(described).toBeGreaterThan(0);
    } finally {
      worker.kill('SIGKILL');
      await proxy.close();
    }
  }, 60_000);
});
