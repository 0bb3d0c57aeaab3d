// `npm run test:faults`: the faults tier, and its verdict as the last line.
//   npm run test:faults                                   the short cut that `npm test` runs
//   npm run test:faults -- --seeds 20 --first-seed 1      so many seeded trials; writes docs/faults.md
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from './setup/layout.mjs';
import { faultsPage, verdictLine } from './tests/faults-table.mjs';

const RESULTS = join(ROOT, '.stemma', 'test', 'faults.jsonl');

const { values, positionals } = parseArgs({ options: { seeds: { type: 'string' }, 'first-seed': { type: 'string' } }, allowPositionals: true });
for (const [name, value] of Object.entries(values)) {
  if (!/^\d{1,9}$/.test(value)) {
    process.stderr.write(`--${name} ${value}: expected a whole number\n`);
    process.exit(1);
  }
}
rmSync(RESULTS, { force: true });
const filters = positionals.length > 0 ? positionals : values.seeds === undefined ? [] : ['faults.test'];
const { status } = spawnSync(process.execPath, [join(ROOT, 'deploy', 'run-tests.mjs'), 'faults', ...filters], {
  cwd: ROOT, stdio: 'inherit',
  env: {
    ...process.env,
    ...(values.seeds === undefined ? {} : { STEMMA_TEST_FAULT_SEEDS: values.seeds }),
    ...(values['first-seed'] === undefined ? {} : { STEMMA_TEST_FIRST_SEED: values['first-seed'] }),
  },
});
const trials = existsSync(RESULTS) ? readFileSync(RESULTS, 'utf8').trim().split('\n').filter(Boolean).map((line) => JSON.parse(line)) : [];
if (values.seeds !== undefined && trials.length > 0) {
  writeFileSync(join(ROOT, 'docs', 'faults.md'), faultsPage(trials, `npm run test:faults -- --seeds ${values.seeds} --first-seed ${values['first-seed'] ?? 1}`));
}
console.log(verdictLine(trials));
process.exit(status ?? 1);
