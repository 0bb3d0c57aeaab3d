// Known vulnerabilities of what is pinned: high and critical ones fail. Where the data cannot be had, that is said, in the words of who refused.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..');
let skipped = 0;

/** @param {string} what @param {string} why */
function skip(what, why) {
  skipped += 1;
  console.log(`warning: ${what} was skipped: ${why}`);
}

/** @returns {boolean} nothing high */
function npm() {
  const { stdout, error } = spawnSync('npm', ['audit', '--json', '--audit-level=high'], { cwd: ROOT, encoding: 'utf8', timeout: 120_000 });
  /** @type {{ message?: string, metadata?: { vulnerabilities?: { high: number, critical: number } } }} */
  let report = {};
  try {
    report = JSON.parse(stdout);
  } catch { /* said below */ }
  const found = report.metadata?.vulnerabilities;
  if (found === undefined) skip('npm audit', report.message ?? String(error ?? 'no answer'));
  else if (found.high + found.critical > 0) console.log(stdout);
  return found === undefined || found.high + found.critical === 0;
}

/** @returns {boolean} nothing found: it tells no severity */
function python() {
  const { stdout, stderr, error, status } = spawnSync('pip-audit', ['-r', 'kernels/requirements.txt', '--no-deps', '--disable-pip', '--progress-spinner', 'off'], { cwd: ROOT, encoding: 'utf8', timeout: 300_000 });
  if (error !== undefined) skip('pip-audit', /ENOENT/.test(error.message) ? 'it is not on the PATH (pip install pip-audit)' : error.message);
  else if (status !== 0 && !/Found \d+ known/.test(stderr)) skip('pip-audit', stderr.trim().split('\n').at(-1) ?? '');
  else if (status !== 0) console.log(`${stdout}${stderr}`);
  return error !== undefined || status === 0 || !/Found \d+ known/.test(stderr);
}

const sound = [npm(), python()].every(Boolean);
if (skipped > 0) console.log(`warning: ${skipped} of 2 audits skipped`);
process.exit(sound ? 0 : 1);
