// Starts vitest and pytest, their output as it comes, and reads the reports they leave.
import { spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../setup/layout.mjs';
import { readJson, textOf } from '../setup/stamp.mjs';
import { countJunit, countVitest, distrust } from './count.mjs';

/** @import { Count } from './count.mjs' */
const REPORTS = join(ROOT, '.stemma', 'test');
const PYTEST_FOUND_NOTHING = 5;

/** @param {string} command @param {string[]} args @param {NodeJS.ProcessEnv} [env] @returns {Promise<number>} the exit code */
function run(command, args, env = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, ...env } });
    const forward = (/** @type {NodeJS.Signals} */ signal) => child.kill(signal);
    process.once('SIGTERM', forward);
    child.once('error', reject);
    child.once('close', (code) => {
      process.off('SIGTERM', forward);
      resolve(code ?? 1);
    });
  });
}

/** @param {string} name @returns {string} where a fresh report will be */
function freshReport(name) {
  mkdirSync(REPORTS, { recursive: true });
  const path = join(REPORTS, name);
  rmSync(path, { force: true });
  return path;
}

/** @param {readonly string[]} tiers in one process @param {{ parallel: boolean, filters: readonly string[] }} options @returns {Promise<Map<string, Count>>} */
export async function runVitest(tiers, { parallel, filters }) {
  const report = freshReport(`${tiers[0]}.json`);
  const code = await run(process.execPath, [
    join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', ...tiers.flatMap((tier) => ['--project', tier]), ...(parallel ? [] : ['--no-file-parallelism']),
    '--passWithNoTests', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...filters,
  ]);
  const counts = countVitest(readJson(report).testResults ?? [], join(ROOT, 'test'), tiers);
  distrust([...counts.values()], 'vitest', code);
  return counts;
}

/** @param {string} python @param {readonly string[]} filters @returns {Promise<Count>} */
export async function runPytest(python, filters) {
  const report = freshReport('kernels.xml');
  const startedAt = performance.now();
  const selection = filters.length > 0 ? ['-k', filters.join(' or ')] : [];
  const code = await run(python, ['-m', 'pytest', 'test/kernels', '-q', '-rs', '-p', 'no:cacheprovider', `--junitxml=${report}`, ...selection],
    { PYTHONPATH: join(ROOT, 'kernels') });
  const count = { ...countJunit(textOf(report)), seconds: (performance.now() - startedAt) / 1000 };
  if (code !== PYTEST_FOUND_NOTHING) distrust([count], 'pytest', code);
  return count;
}
