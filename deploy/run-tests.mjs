// `npm test`: set-up, then every tier of test/ in order. The folder is the tier.
//   npm test                                 all tiers
//   npm run test:unit -- core/log            one tier, only files whose path contains core/log
//   node deploy/run-tests.mjs unit golden    some tiers
//   npm run test:simulation -- --schedules 100000 --first-seed 1
//   npm run test:fuzz -- --seed 7 --case 12  60 s of hostile requests a service (5 s in `npm test`), or one of them again
// A tier whose component cannot be had here is skipped, counted and named; with CI=true that is a failure.
import { join } from 'node:path';
import { needNode } from './setup/supported.mjs';

/** @import { Part } from './setup/run.mjs' */
/** @typedef {{ name: string, needs: readonly Part[] }} Tier */

/** The tiers of a group share one vitest process. @type {readonly { parallel: boolean, tiers: readonly Tier[] }[]} */
const GROUPS = [
  { parallel: true, tiers: ['unit', 'golden', 'contract', 'replay', 'simulation'].map((name) => ({ name, needs: [] })) },
  { parallel: false, tiers: [{ name: 'kernels', needs: ['python'] }] },
  ...['integration', 'e2e', 'faults', 'fuzz'].map((name) => ({ parallel: false, tiers: [{ name, needs: /** @type {Part[]} */ (['compile', 'python', 'temporal']) }] })),
];
const WITH_BROKERS = ['contract', 'integration', 'e2e', 'faults'];
const WITH_BUCKETS = ['contract', 'kernels', 'integration', 'e2e'];
const WITH_CLUSTERS = ['integration', 'e2e'];
const WITH_PROMETHEUS = ['integration', 'e2e'];
const WITH_BROWSERS = ['e2e'];
const IN_CI = process.env['CI'] === 'true';

needNode();
const { explain, setUp } = await import('./setup/run.mjs');
const { ROOT } = await import('./setup/layout.mjs');
const { filesUnder } = await import('./setup/stamp.mjs');
const { noTests, summary } = await import('./tests/count.mjs');
const { runPytest, runVitest } = await import('./tests/runners.mjs');

process.exit(await main(process.argv.slice(2)).catch(explain));

/** @param {string[]} args @returns {Promise<number>} the exit code */
async function main(args) {
  args = takeOptions(args);
  const names = GROUPS.flatMap(({ tiers }) => tiers.map((tier) => tier.name));
  const wanted = args.filter((arg) => names.includes(arg));
  const filters = args.filter((arg) => !names.includes(arg));
  const groups = GROUPS.map(({ parallel, tiers }) => ({ parallel, tiers: tiers.filter((tier) => wanted.length === 0 || wanted.includes(tier.name)) }));
  const needs = new Set(groups.flatMap(({ tiers }) => tiers.flatMap((tier) => tier.needs)));
  // Within these tiers only some files need a broker, a bucket, a Kubernetes API server, Prometheus or a browser: those skip themselves where it is missing, and fail with CI=true.
  const some = (/** @type {string[]} */ of) => groups.some(({ tiers }) => tiers.some((tier) => of.includes(tier.name)));
  if (some(WITH_BROKERS)) needs.add('kafka');
  if (some(WITH_BUCKETS)) needs.add('minio');
  if (some(WITH_CLUSTERS)) needs.add('kube').add('kueue');
  if (some(WITH_PROMETHEUS)) needs.add('prometheus');
  if (some(WITH_BROWSERS)) needs.add('chromium');
  const { toolchain, missing } = await setUp(['packages', 'generate', ...needs], ['python', 'temporal', 'kafka', 'minio', 'kube', 'kueue', 'prometheus', 'chromium']);

  const counts = new Map();
  for (const { parallel, tiers } of groups) {
    const [first] = tiers;
    if (first === undefined) continue;
    const lacking = first.needs.filter((part) => missing.has(part)).map((part) => `${part}: ${missing.get(part)?.message.split('\n')[0]}`);
    if (lacking.length > 0) counts.set(first.name, withoutComponents(first.name, lacking));
    else if (first.name === 'kernels') counts.set('kernels', await runPytest(toolchain.python ?? '', filters));
    else for (const [name, count] of await runVitest(tiers.map((tier) => tier.name), { parallel, filters })) counts.set(name, count);
  }
  const { lines, exitCode } = summary(counts);
  console.log(`\n${lines.join('\n')}`);
  return exitCode;
}

/** Options of single tiers become variables of their tests. @param {string[]} args @returns {string[]} the rest */
function takeOptions(args) {
  const variables = new Map([
    ['--schedules', 'STEMMA_TEST_SCHEDULES'], ['--first-seed', 'STEMMA_TEST_FIRST_SEED'],
    ['--seconds', 'STEMMA_TEST_FUZZ_SECONDS'], ['--seed', 'STEMMA_TEST_FUZZ_SEED'], ['--case', 'STEMMA_TEST_FUZZ_CASE'],
  ]);
  const rest = [];
  for (let at = 0; at < args.length; at += 1) {
    const variable = variables.get(/** @type {string} */ (args[at]));
    if (variable === undefined) rest.push(/** @type {string} */ (args[at]));
    else process.env[variable] = args[(at += 1)] ?? '';
  }
  return rest;
}

/** @param {string} tier @param {string[]} reasons */
function withoutComponents(tier, reasons) {
  const files = Math.max(1, filesUnder(join(ROOT, 'test', tier), ['.test.ts', '.py']).length);
  const notes = [`${IN_CI ? 'failed' : 'skipped'}: ${files} files need what is missing here (${reasons.join('; ')})`];
  return { ...noTests(), [IN_CI ? 'failed' : 'skipped']: files, notes };
}
