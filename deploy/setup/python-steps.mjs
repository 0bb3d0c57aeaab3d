// A Python that will do, a cached virtual environment with the pinned packages, generated protocol code.
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { outputOf, runCommand } from './command.mjs';
import { SetupFailure } from './failure.mjs';
import { CACHE, logFile, ROOT, STATE, stampFile } from './layout.mjs';
import { withLock } from './lock.mjs';
import { filesUnder, hashContents, hashOf, readJson, textOf, unlessStamped, writeWhole } from './stamp.mjs';
import { PYTHON_MAXIMUM, PYTHON_MINIMUM, pythonVersionProblem } from './versions.mjs';

/** @import { Progress } from './progress.mjs' */
/** @typedef {{ executable: string, version: string, source: string }} Tool */

const CANDIDATES = ['python3.12', 'python3.11', 'python3.13', 'python3', 'python'];
const DESCRIBE = 'import sys, ensurepip, venv; print(sys.executable, "%d.%d.%d" % sys.version_info[:3], sep="\\n")';

/**
 * The first interpreter that exists, has a supported version and can make virtual environments.
 * @param {(command: string, args: readonly string[]) => string | null} ask
 * @returns {{ executable: string, version: string }}
 */
export function findPython(ask = outputOf) {
  const problems = [];
  for (const command of CANDIDATES) {
    const version = /(\d+\.\d+\.\d+)/.exec(ask(command, ['--version']) ?? '')?.[1];
    if (version === undefined) continue;
    const problem = pythonVersionProblem(version);
    const [executable, precise] = problem === null ? (ask(command, ['-c', DESCRIBE]) ?? '').split('\n') : [];
    if (executable && precise) return { executable, version: precise };
    problems.push(`${command} is ${problem === null ? `Python ${version} without the venv module (Debian: apt-get install python3-venv)` : `Python ${version}`}`);
  }
  throw new SetupFailure(
    `No Python ${PYTHON_MINIMUM} to ${PYTHON_MAXIMUM} was found${problems.length > 0 ? `: ${problems.join('; ')}` : ' on the PATH'}.`,
    `Install Python 3.12 (Debian: apt-get install python3 python3-venv; macOS: brew install python@3.12) so that \`python3.12\` or \`python3\` is on the PATH, and run the same command again.`,
  );
}

/**
 * An environment with the packages of kernels/<name>.txt, shared by every clone that has the same pins.
 * @param {Progress} progress @param {string} name @returns {Promise<Tool>}
 */
export async function preparePython(progress, name = 'requirements') {
  const given = process.env['STEMMA_PYTHON'];
  if (given && name === 'requirements') return givenPython(given);
  const remembered = join(STATE, `${name}.json`);
  const pins = textOf(join(ROOT, 'kernels', `${name}.txt`));
  const pinsHash = hashOf([pins]);
  /** @type {{ pinsHash: string, directory: string, tool: Tool }} */
  const last = readJson(remembered);
  if (last.pinsHash === pinsHash && existsSync(completed(last.directory)) && existsSync(last.tool.executable)) return last.tool;

  const base = findPython();
  const key = hashOf([pins, base.version, process.platform, process.arch]).slice(0, 16);
  const directory = join(CACHE, `${name === 'requirements' ? 'python' : name}-${key}`);
  const tool = { executable: join(directory, 'bin', 'python'), version: base.version, source: `virtual environment of ${base.executable}` };
  await withLock(`${directory}.lock`, {
    onWait: (holder) => progress.say(`Python packages: another set-up is installing them (${holder}), waiting`),
  }, async () => {
    if (existsSync(completed(directory))) return;
    const count = (pins.match(/^\S+==/gm) ?? []).length;
    if (count === 0) throw new SetupFailure(`kernels/${name}.txt names no packages.`, 'Restore that file from git.');
    await progress.step(`Python ${base.version} environment (${count} packages of kernels/${name}.txt)`, () => install(base.executable, directory, name));
  });
  writeWhole(remembered, JSON.stringify({ pinsHash, directory, tool }));
  return tool;
}

/** A Python that its owner has prepared, e.g. a GPU machine's image: taken as it is. @param {string} executable @returns {Tool} */
function givenPython(executable) {
  const version = /(\d+\.\d+\.\d+)/.exec(outputOf(executable, ['--version']) ?? '')?.[1];
  const problem = version === undefined ? `STEMMA_PYTHON=${executable} does not start` : pythonVersionProblem(version);
  if (version === undefined || problem !== null) throw new SetupFailure(`${problem}.`, 'Set STEMMA_PYTHON to a Python with the packages of kernels/requirements.in, or unset it.');
  return { executable, version, source: 'STEMMA_PYTHON' };
}

/** Scripts in an environment name its directory, so it is made in place; this file, written last, says that it is whole. @param {string} directory */
const completed = (directory) => join(directory, '.complete');

/** @param {string} python @param {string} directory @param {string} name */
async function install(python, directory, name) {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(dirname(directory), { recursive: true });
  await runCommand(python, ['-m', 'venv', directory], { log: logFile(`${name}-venv`), remedy: 'Debian: apt-get install python3-venv.' });
  await runCommand(join(directory, 'bin', 'python'), [
    '-m', 'pip', 'install', '--require-hashes', '--only-binary=:all:', '--no-input', '--disable-pip-version-check', '--progress-bar=off',
    '-r', join(ROOT, 'kernels', `${name}.txt`),
  ], { log: logFile(`${name}-pip`), remedy: 'Is the network up, and is there room on the disk (PyTorch needs 6 GB)? Then run the same command again.' });
  writeFileSync(completed(directory), '');
}

/** @param {Progress} progress @param {Tool} python */
export async function generatePython(progress, python) {
  const generator = join(ROOT, 'kernels', 'sidecar', 'generate.py');
  const sources = filesUnder(join(ROOT, 'proto', 'stemma'), ['.proto']);
  await unlessStamped({
    file: stampFile('proto-python'),
    hash: hashOf([hashContents([...sources, generator]), python.executable]),
    isThere: () => existsSync(join(ROOT, 'kernels/sidecar/gen/stemma/v1/events_pb2.py')),
  }, () => progress.step('protocol code for Python (protoc)', () => runCommand(python.executable, [generator], {
    cwd: ROOT, log: logFile('protoc'), remedy: 'Correct the .proto file it names.',
  })));
}

/**
 * The C++ kernels for CPUs (kernels/ops): an optional gain. Without a C++ compiler the sidecar uses PyTorch's products and says so.
 * @param {Progress} progress @param {Tool} python
 */
export async function buildKernels(progress, python) {
  const ops = join(ROOT, 'kernels', 'ops');
  await unlessStamped({
    file: stampFile('kernels-cpu'),
    hash: hashOf([hashContents(filesUnder(ops, ['.py', '.cpp', '.h'])), python.executable, process.env['CXX'] ?? '']),
    isThere: () => existsSync(join(ops, 'built')),
  }, () => progress.step('kernels for this CPU (C++)', () => runCommand(python.executable, ['-m', 'ops.build'], {
    cwd: join(ROOT, 'kernels'), log: logFile('kernels-cpu'), remedy: 'Install a C++ compiler (Debian: apt-get install g++).',
  }))).catch((/** @type {unknown} */ error) => {
    if (!(error instanceof SetupFailure)) throw error;
    progress.say(`kernels for this CPU: not built, so large vocabularies are slower. ${error.remedy} ${error.message}`);
  });
}

/** The compiler that the packages of kernels/requirements-nvcc.txt install. @param {string} python @returns {string} */
export function nvccOf(python) {
  const packages = outputOf(python, ['-c', 'import sysconfig; print(sysconfig.get_path("purelib"))']) ?? '';
  const nvcc = join(packages, 'nvidia', 'cu13', 'bin', 'nvcc');
  if (!existsSync(nvcc)) throw new SetupFailure(`There is no compiler at ${nvcc}.`, 'NVIDIA publishes it for Linux only: run this check there, or remove that environment and run it again.');
  return nvcc;
}
