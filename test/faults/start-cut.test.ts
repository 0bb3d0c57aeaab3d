/** The network to Temporal fails while the platform of one machine starts: it waits, and the run goes on; or it is told to stop, and stops. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, expect, it } from 'vitest';
import { openAllInOne } from './harness/all-in-one.js';
import { describeWithCompiler } from './harness/compiler.js';
import { when } from './harness/processes.js';
import { CLEAR, type Proxy } from './harness/proxy.js';
import { writeShortRecipe } from './harness/recipes.js';
import type { System } from './harness/system.js';

/** Longer than any call of Temporal's client waits. */
const CUT_MS = 12_000;
const PATIENCE_MS = 240_000;

describeWithCompiler('a platform that starts', () => {
  const folder = mkdtempSync(join(tmpdir(), 'stemma-recipe-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const starting = async (during: (temporal: Proxy, system: System, ended: () => Promise<boolean>) => Promise<void>): Promise<void> => {
    const { file, run } = writeShortRecipe(folder);
    const system = await openAllInOne({ recipe: file, run, seed: 1, settings: { seed: 0, patches: ['oracle', 'proxied'] } });
    try {
      await system.start();
      let well: boolean | undefined;
      void system.ended().then((says) => { well = says; });
      const comes = (what: string, holds: () => boolean): Promise<void> => when(what, AbortSignal.timeout(PATIENCE_MS), holds).catch((error: unknown) => {
        throw new Error(`${(error as Error).message}\n${system.lastWords()}`);
      });
      await comes('it never came to its workers', () => well !== undefined || system.lastWords().includes('  workers'));
      expect(well, system.lastWords()).toBeUndefined();
      await during(system.proxy('temporal')!, system, async () => {
        await comes('it never ended', () => well !== undefined);
        return well === true;
      });
    } finally {
      await system.close();
    }
  };

  it('waits for Temporal where the network to it fails on the way', () => starting(async (temporal, system, ended) => {
    temporal.mode = { ...CLEAR, drop: true };
    await delay(CUT_MS);
    expect(temporal.counts.droppedBytes).toBeGreaterThan(0);
    temporal.mode = CLEAR;
    temporal.reset();
    expect(await ended(), system.lastWords()).toBe(true);
  }), 3 * PATIENCE_MS);

  it('stops when it is told to while it waits', () => starting(async (temporal, system, ended) => {
    await temporal.close();
    await when('it never said that it waits', AbortSignal.timeout(PATIENCE_MS), () => system.lastWords().includes('cannot be reached'));
    process.kill(system.pid('services')!, 'SIGINT');
    expect(await ended()).toBe(false);
    expect(system.lastWords()).toMatch(/exit code 130[^]*Stopped/);
  }), 3 * PATIENCE_MS);
});
