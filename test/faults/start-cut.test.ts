/** The network to Temporal fails while the platform of one machine starts: it waits, and the run goes on. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, expect, it } from 'vitest';
import { openAllInOne } from './harness/all-in-one.js';
import { describeWithCompiler } from './harness/compiler.js';
import { when } from './harness/processes.js';
import { CLEAR } from './harness/proxy.js';
import { writeShortRecipe } from './harness/recipes.js';

/** Longer than any call of Temporal's client waits. */
const CUT_MS = 12_000;
const PATIENCE_MS = 240_000;

describeWithCompiler('a platform that starts', () => {
  const folder = mkdtempSync(join(tmpdir(), 'stemma-recipe-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('waits for Temporal where the network to it fails on the way', async () => {
    const { file, run } = writeShortRecipe(folder);
    const system = await openAllInOne({ recipe: file, run, seed: 1, settings: { seed: 0, patches: ['oracle', 'proxied'] } });
    try {
      await system.start();
      await when('it never came to its workers', AbortSignal.timeout(PATIENCE_MS), () => system.lastWords().includes('  workers'));
      const temporal = system.proxy('temporal')!;
      temporal.mode = { ...CLEAR, drop: true };
      await delay(CUT_MS);
      expect(temporal.counts.droppedBytes).toBeGreaterThan(0);
      temporal.mode = CLEAR;
      temporal.reset();
      expect(await system.ended(), system.lastWords()).toBe(true);
    } finally {
      await system.close();
    }
  }, 2 * PATIENCE_MS);
});
