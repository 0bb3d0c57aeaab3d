/**
 * The workflows as one file that Temporal's sandbox can load. Building takes about a second, so set-up builds it once:
 * `node dist/services/worker/bundle.js` writes dist/workflow-bundle.js. A bundle of other sources than the compiled ones is never used.
 */
import { createHash } from 'node:crypto';
import { readFile, readdir, rename, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';
import { StemmaError } from '../../core/errors.js';
import { packageRoot } from '../runtime/package-root.js';

export interface WorkflowBundle {
  readonly code: string;
}

/** From the prebuilt file where it fits the compiled workflows, else built now. */
export async function loadWorkflowBundle(root: string = packageRoot()): Promise<WorkflowBundle> {
  const digest = await sourcesDigest(root);
  const prebuilt = await readFile(bundleFile(root), 'utf8').catch(() => '');
  return prebuilt.startsWith(header(digest)) ? { code: prebuilt } : buildBundle(root);
}

/** Writes dist/workflow-bundle.js whole or not at all; returns its path. */
export async function prebuildWorkflowBundle(root: string = packageRoot()): Promise<string> {
  const digest = await sourcesDigest(root);
  const { code } = await buildBundle(root);
  const partial = `${bundleFile(root)}.${process.pid}.partial`;
  await writeFile(partial, `${header(digest)}${code}`);
  await rename(partial, bundleFile(root));
  return bundleFile(root);
}

async function buildBundle(root: string): Promise<WorkflowBundle> {
  try {
    const { code } = await bundleWorkflowCode({ workflowsPath: join(root, 'dist', 'workflows', 'index.js'), logger: silent() });
    return { code };
  } catch (error) {
    throw new StemmaError('temporal', 'INVALID', `the workflows cannot be bundled: ${(error as Error).message}`, 'Workflows import activities as types only, and nothing of Node.', error);
  }
}

function bundleFile(root: string): string {
  return join(root, 'dist', 'workflow-bundle.js');
}

function header(digest: string): string {
  // On the first line itself: the inline source map keeps its line numbers.
  return `/* stemma workflows ${digest} */`;
}

/** Of all compiled code a workflow may import, and of the SDK's version. */
async function sourcesDigest(root: string): Promise<string> {
  const hash = createHash('sha256');
  hash.update((createRequire(import.meta.url)('@temporalio/workflow/package.json') as { version: string }).version);
  for (const folder of ['workflows', 'core']) {
    const directory = join(root, 'dist', folder);
    const files = await readdir(directory, { recursive: true }).catch(() => [] as string[]);
    for (const file of files.filter((name) => name.endsWith('.js')).sort()) {
      hash.update(`${folder}/${file}\n`).update(await readFile(join(directory, file)));
    }
  }
  return hash.digest('hex');
}

function silent(): { log(): void; trace(): void; debug(): void; info(): void; warn(): void; error(): void } {
  const nothing = (): void => undefined;
  return { log: nothing, trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing };
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await prebuildWorkflowBundle();
}
