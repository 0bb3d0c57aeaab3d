/**
 * The workflows as one file that Temporal's sandbox can load. Building takes about a second, so set-up builds it once:
 * `node dist/services/worker/bundle.js` writes dist/workflow-bundle.js. A bundle of other sources than the compiled ones is never used.
 */
import { createHash } from 'node:crypto';
import { readFile, readdir, rename, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bundleWorkflowCode, type Logger } from '@temporalio/worker';
import { StemmaError } from '../../core/errors.js';
import { packageRoot } from '../runtime/package-root.js';

/** Tests run from the sources, everything else from dist/. */
const EXTENSION = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
const SOURCES = EXTENSION === '.ts' ? packageRoot() : join(packageRoot(), 'dist');
const TRACING = join(SOURCES, 'workflows', `tracing${EXTENSION}`);
const BUNDLE_FILE = join(packageRoot(), 'dist', 'workflow-bundle.js');

export interface WorkflowBundle {
  readonly code: string;
}

/** From the prebuilt file where it fits the workflows, else built now: about a second. */
export async function loadWorkflowBundle(): Promise<WorkflowBundle> {
  const digest = await sourcesDigest();
  const prebuilt = await readFile(BUNDLE_FILE, 'utf8').catch(() => '');
  return prebuilt.startsWith(header(digest)) ? { code: prebuilt } : buildWorkflowBundle();
}

/** Writes dist/workflow-bundle.js whole or not at all; returns its path. */
export async function prebuildWorkflowBundle(): Promise<string> {
  const digest = await sourcesDigest();
  const { code } = await buildWorkflowBundle();
  const partial = `${BUNDLE_FILE}.${process.pid}.partial`;
  await writeFile(partial, `${header(digest)}${code}`);
  await rename(partial, BUNDLE_FILE);
  return BUNDLE_FILE;
}

/** INVALID, naming the module, if a workflow imports what the sandbox cannot hold. */
export async function buildWorkflowBundle(workflowsPath: string = join(SOURCES, 'workflows', `index${EXTENSION}`)): Promise<WorkflowBundle> {
  const said: string[] = [];
  try {
    const { code } = await bundleWorkflowCode({ workflowsPath, workflowInterceptorModules: [TRACING], logger: collecting(said) });
    return { code };
  } catch (error) {
    const why = [(error as Error).message, ...said].join('\n');
    throw new StemmaError('temporal', 'INVALID', `the workflows cannot be bundled: ${why}`, 'Workflows import activities as types only, and nothing of Node.', error);
  }
}

function header(digest: string): string {
  // On the first line itself: the inline source map keeps its line numbers.
  return `/* stemma workflows ${digest} */`;
}

/** Of all code a workflow may import, and of the SDK's version. */
async function sourcesDigest(): Promise<string> {
  const hash = createHash('sha256');
  hash.update((createRequire(import.meta.url)('@temporalio/workflow/package.json') as { version: string }).version);
  for (const folder of ['workflows', 'core']) {
    const directory = join(SOURCES, folder);
    const files = await readdir(directory, { recursive: true });
    for (const file of files.filter((name) => name.endsWith(EXTENSION)).sort()) {
      hash.update(`${folder}/${file}\n`).update(await readFile(join(directory, file)));
    }
  }
  return hash.digest('hex');
}

/** The bundler says which module is at fault in its log, not in its error. */
function collecting(said: string[]): Logger {
  const nothing = (): void => undefined;
  const keep = (message: string): void => void said.push(message);
  return { log: nothing, trace: nothing, debug: nothing, info: nothing, warn: nothing, error: keep };
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await prebuildWorkflowBundle();
}
