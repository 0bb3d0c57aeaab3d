// `npm run test:faults`: the faults tier, and its verdict as the last line.
//   npm run test:faults                                   the short cut that `npm test` runs
//   npm run test:faults -- --seeds 20 --first-seed 1      so many seeded trials of each platform; writes docs/faults.md
//     --faults 10          so many faults a trial (3)
//     --at-once 2          so many trials at once (1)
//     --platform NAME      only all-in-one, or only distributed
//     --mode NAME          synchronous (default), or asynchronous: weight, drop and inside-turn, by seed
//     --only TEXT          only faults whose "role kind" contains it, e.g. --only "broker kill"
//     --append             to the results of the call before
//     --keep               leaves the trials' homes under the temporary folder, to look into
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from './setup/layout.mjs';
import { faultsPage, verdictLine } from './tests/faults-table.mjs';

const RESULTS = join(ROOT, '.stemma', 'test', 'faults.jsonl');

const VARIABLES = {
  seeds: 'STEMMA_TEST_FAULT_SEEDS', 'first-seed': 'STEMMA_TEST_FIRST_SEED', faults: 'STEMMA_TEST_FAULTS_A_TRIAL', 'at-once': 'STEMMA_TEST_FAULTS_AT_ONCE', platform: 'STEMMA_TEST_FAULT_PLATFORM',
  only: 'STEMMA_TEST_FAULT_ONLY', mode: 'STEMMA_TEST_FAULT_MODE',
};
const { values, positionals } = parseArgs({
  options: { seeds: { type: 'string' }, 'first-seed': { type: 'string' }, faults: { type: 'string' }, 'at-once': { type: 'string' }, platform: { type: 'string' },
    only: { type: 'string' }, mode: { type: 'string' }, append: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});
const { append, keep, platform, mode, only, ...numbers } = values;
if (platform !== undefined && !['all-in-one', 'distributed'].includes(platform)) {
  process.stderr.write(`--platform ${platform}: expected all-in-one or distributed\n`);
  process.exit(1);
}
if (mode !== undefined && !['synchronous', 'asynchronous'].includes(mode)) {
  process.stderr.write(`--mode ${mode}: expected synchronous or asynchronous\n`);
  process.exit(1);
}
for (const [name, value] of Object.entries(numbers)) {
  if (!/^\d{1,9}$/.test(value)) {
    process.stderr.write(`--${name} ${value}: expected a whole number\n`);
    process.exit(1);
  }
}
if (!append) rmSync(RESULTS, { force: true });
const filters = positionals.length > 0 ? positionals : values.seeds === undefined ? [] : ['faults.test'];
const given = Object.entries(VARIABLES).flatMap(([name, variable]) => {
  const value = values[/** @type {keyof typeof VARIABLES} */ (name)];
  return value === undefined ? [] : [[name, variable, value]];
});
const { status } = spawnSync(process.execPath, [join(ROOT, 'deploy', 'run-tests.mjs'), 'faults', ...filters], {
  cwd: ROOT, stdio: 'inherit', env: { ...process.env, ...(keep && { STEMMA_TEST_KEEP: '1' }), ...Object.fromEntries(given.map(([, variable, value]) => [variable, value])) },
});
const trials = existsSync(RESULTS) ? readFileSync(RESULTS, 'utf8').trim().split('\n').filter(Boolean).map((line) => JSON.parse(line)) : [];
if (values.seeds !== undefined && only === undefined && trials.length > 0) {
  writeFileSync(join(ROOT, 'docs', 'faults.md'), faultsPage(trials, `npm run test:faults -- ${given.map(([name, , value]) => `--${name} ${String(value).includes(' ') ? `"${value}"` : value}`).join(' ')}`));
}
console.log(verdictLine(trials));
process.exit(status ?? 1);
