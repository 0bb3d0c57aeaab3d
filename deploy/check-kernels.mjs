// `npm run check:kernels`: every CUDA source for sm_90a with NVIDIA's compiler from Python packages, no GPU needed. Not part of `npm run check`: a minute or two.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { needNode } from './setup/supported.mjs';

needNode();
const { explain } = await import('./setup/run.mjs');
const { ROOT } = await import('./setup/layout.mjs');
const { createProgress } = await import('./setup/progress.mjs');
const { nvccOf, preparePython } = await import('./setup/python-steps.mjs');

process.exit(await main().catch(explain));

/** @returns {Promise<number>} the exit code */
async function main() {
  const python = await preparePython(createProgress(), 'requirements-nvcc');
  const ran = spawnSync(python.executable, ['-m', 'ops.check', '--nvcc', nvccOf(python.executable)], { cwd: join(ROOT, 'kernels'), stdio: 'inherit' });
  return ran.status ?? 1;
}
