// The stage `kernels`: the sidecar's sources, its protocol code, and libraries compiled ahead of time.
//   node deploy/images/kernels.mjs OUT [--cuda]        → OUT/opt/stemma/kernels
import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { runCommand } from '../setup/command.mjs';
import { logFile, ROOT } from '../setup/layout.mjs';
import { createProgress } from '../setup/progress.mjs';
import { nvccOf, preparePython } from '../setup/python-steps.mjs';
import { textOf } from '../setup/stamp.mjs';
import { cpuPins } from './pins.mjs';
import { compilePython, install } from './python.mjs';

/**
 * What set-up has made in this tree is taken; in a fresh clone it is made here.
 * @param {string} out @param {{ cuda: boolean }} options
 */
export async function assembleKernels(out, { cuda }) {
  const kernels = join(out, 'opt', 'stemma', 'kernels');
  mkdirSync(kernels, { recursive: true });
  const leave = /\/(__pycache__|emulate|built)$|\/README\.md$/;
  for (const name of ['sidecar', 'ops']) cpSync(join(ROOT, 'kernels', name), join(kernels, name), { recursive: true, filter: (path) => !leave.test(path) });
  if (!existsSync(join(kernels, 'sidecar', 'gen'))) await generate(out);
  const nvcc = cuda ? ['--cuda', '--nvcc', nvccOf((await preparePython(createProgress(), 'requirements-nvcc')).executable)] : [];
  await runCommand('python3', ['-m', 'ops.build', ...nvcc], { cwd: kernels, env: { PYTHONDONTWRITEBYTECODE: '1' }, log: logFile('images-kernels'), remedy: 'Install a C++ compiler (Debian: apt-get install g++).' });
  await compilePython(kernels);
}

/** generate.py reads ../../proto, so proto is there while it does. @param {string} out */
async function generate(out) {
  const [tools, proto] = [join(out, 'tools'), join(out, 'opt', 'stemma', 'proto')];
  const pins = cpuPins(textOf(join(ROOT, 'kernels', 'requirements.txt')));
  cpSync(join(ROOT, 'proto'), proto, { recursive: true });
  await install(out, pins.build, tools);
  await runCommand('python3', [join(out, 'opt', 'stemma', 'kernels', 'sidecar', 'generate.py')], { env: { PYTHONPATH: tools }, log: logFile('images-protoc'), remedy: 'Correct the .proto file it names.' });
  for (const scratch of [tools, proto]) rmSync(scratch, { recursive: true });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await assembleKernels(process.argv[2] ?? '/', { cuda: process.argv.includes('--cuda') });
