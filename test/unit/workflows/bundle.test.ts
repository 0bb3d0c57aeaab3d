/** The workflows build into one sandboxed file, and what must not be in it is refused by name. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../../services/runtime/package-root.js';
import { buildWorkflowBundle } from '../../../services/worker/bundle.js';

describe('workflow bundle', () => {
  let directory: string;
  // Inside the tree, so that the probes' imports resolve as a workflow's would.
  beforeAll(async () => { directory = await mkdtemp(join(packageRoot(), 'test', 'unit', 'workflows', 'probe-')); });
  afterAll(async () => { await rm(directory, { recursive: true, force: true }); });

  async function bundleOf(source: string): Promise<string> {
    const file = join(directory, `probe-${source.length}.ts`);
    await writeFile(file, source);
    return (await buildWorkflowBundle(file)).code;
  }

  it('holds every workflow type, and no activity', async () => {
    const { code } = await buildWorkflowBundle();
    // Booleans: a failed toContain would print the whole bundle.
    for (const type of ['trainingRun', 'sftStage', 'rlStage', 'distillStage', 'evaluate']) expect([type, code.includes(`function ${type}(`)]).toEqual([type, true]);
    expect(code.includes('!*** ./workflows/')).toBe(true);
    expect(code.includes('!*** ./services/')).toBe(false);
  });

  it('refuses an activity imported by value', async () => {
    const source = "import { loadRecipe } from '../../../../services/runtime/recipe-schema.js';\nexport async function wrong(): Promise<unknown> { return loadRecipe('tiny'); }\n";
    await expect(bundleOf(source)).rejects.toMatchObject({ boundary: 'temporal', code: 'INVALID' });
  });

  it('takes the same activity imported as a type', async () => {
    const source = "import type { loadRecipe } from '../../../../services/runtime/recipe-schema.js';\nexport type Loads = typeof loadRecipe;\nexport async function right(): Promise<number> { return 1; }\n";
    expect((await bundleOf(source)).includes('function right(')).toBe(true);
  });
});
