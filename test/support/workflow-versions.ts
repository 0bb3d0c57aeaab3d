/** Other versions of the workflows, as a later release would have them: the real sources with a change, bundled. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../services/runtime/package-root.js';
import { buildWorkflowBundle, type WorkflowBundle } from '../../services/worker/bundle.js';

/** Where a timer is added, before each stage: a real command, which histories of the version before do not hold. */
const ANCHOR = /( *)const id = `\$\{state\.run\}\/\$\{stage\.id\}`;/;

/** `patched`: as the rules say. `bare`: as somebody who does not know them would write it. */
export type Change = 'patched' | 'bare';

/** The changed text of workflows/training-run, TypeScript or compiled. */
export function changedRun(text: string, change: Change): string {
  if (!ANCHOR.test(text)) throw new Error('training-run starts its stages otherwise now: mend this test');
  const step = change === 'patched' ? 'if (versionPatched("before-each-stage")) await versionSleep(1);' : 'await versionSleep(1);';
  return `import { patched as versionPatched, sleep as versionSleep } from '@temporalio/workflow';\n${text.replace(ANCHOR, (line) => `void versionPatched; ${step}\n${line}`)}`;
}

export async function changedBundle(change: Change): Promise<WorkflowBundle> {
  // Beside workflows/, so that imports resolve as the originals' do.
  const directory = mkdtempSync(join(packageRoot(), '.workflows-'));
  try {
    cpSync(join(packageRoot(), 'workflows'), directory, { recursive: true });
    const file = join(directory, 'training-run.ts');
    writeFileSync(file, changedRun(readFileSync(file, 'utf8'), change));
    return await buildWorkflowBundle(join(directory, 'index.ts'));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
