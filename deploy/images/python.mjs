// The stage `python`: a virtual environment of the base image's Python. Needs python3 with pip, and for the stand-ins gcc and readelf.
//   node deploy/images/python.mjs OUT [--cuda]        → OUT/opt/venv
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { outputOf, runCommand } from '../setup/command.mjs';
import { logFile, ROOT } from '../setup/layout.mjs';
import { textOf } from '../setup/stamp.mjs';
import { cpuPins, cudaPins } from './pins.mjs';

/** Of Debian bookworm; packages are fetched for it, whatever Python fetches them. */
export const PYTHON = '3.11';

/** @param {string} out @returns {string} */
export const siteOf = (out) => join(out, 'opt', 'venv', 'lib', `python${PYTHON}`, 'site-packages');

/** @param {string} out @param {{ cuda: boolean }} options */
export async function assemblePython(out, { cuda }) {
  const venv = join(out, 'opt', 'venv');
  mkdirSync(join(venv, 'bin'), { recursive: true });
  for (const name of ['python', 'python3']) symlinkSync('/usr/bin/python3', join(venv, 'bin', name));
  writeFileSync(join(venv, 'pyvenv.cfg'), `home = /usr/bin\ninclude-system-site-packages = false\nversion = ${PYTHON}\n`);
  const pins = textOf(join(ROOT, 'kernels', 'requirements.txt'));
  await install(out, (cuda ? cudaPins : cpuPins)(pins).image, siteOf(out));
  if (!cuda) await runCommand('python3', [join(ROOT, 'deploy', 'images', 'stand_ins.py'), siteOf(out)], { log: logFile('images-stand-ins'), remedy: 'Install a C compiler and binutils (Debian: apt-get install gcc binutils).' });
  await compilePython(siteOf(out));
}

/** With hashes, from where this machine's packages come. @param {string} scratch @param {string} pins @param {string} target */
export async function install(scratch, pins, target) {
  const list = join(scratch, 'pins.txt');
  writeFileSync(list, pins);
  await runCommand('python3', [
    '-m', 'pip', 'install', '--require-hashes', '--no-deps', '--only-binary=:all:', `--python-version=${PYTHON}`, '--no-compile', '--no-input', '--disable-pip-version-check', '--progress-bar=off',
    '--target', target, '-r', list,
  ], { log: logFile('images-pip'), remedy: 'Is the network up, and is there room on the disk? Then run the same command again.' });
  rmSync(list);
}

/**
 * Ahead of time, since the root file system of pods is read-only, and valid whatever becomes of the times of files. Without a
 * Python of that version here the Dockerfile does it.
 * @param {string} folder
 */
export async function compilePython(folder) {
  const python = `python${PYTHON}`;
  if (outputOf(python, ['--version']) === null) return;
  // What a package ships for other versions of Python does not compile; that is none of ours.
  await runCommand('sh', ['-c', '"$0" -m compileall -q -j 0 --invalidation-mode unchecked-hash "$1" || true', python, folder], { log: logFile('images-compileall'), remedy: 'Run the same command again.' });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await assemblePython(process.argv[2] ?? '/', { cuda: process.argv.includes('--cuda') });
