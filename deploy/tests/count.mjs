// From the reports of vitest and pytest to counts a tier: pure functions.
import { relative, sep } from 'node:path';

/** @typedef {{ passed: number, failed: number, skipped: number, seconds: number, notes: string[] }} Count */
/** @typedef {{ name: string, status: string, startTime: number, endTime: number, assertionResults: readonly { status: string }[] }} TestFile */

/** @returns {Count} */
export function noTests() {
  return { passed: 0, failed: 0, skipped: 0, seconds: 0, notes: [] };
}

/**
 * Tests of each tier in vitest's JSON report; the tier is the first folder below `testFolder`.
 * @param {readonly TestFile[]} files @param {string} testFolder @param {readonly string[]} tiers @returns {Map<string, Count>}
 */
export function countVitest(files, testFolder, tiers) {
  const counts = new Map(tiers.map((tier) => [tier, noTests()]));
  for (const file of files) {
    const count = counts.get(relative(testFolder, file.name).split(sep)[0] ?? '');
    if (count !== undefined) addFile(count, file);
  }
  return counts;
}

/** @param {Count} count @param {TestFile} file */
function addFile(count, file) {
  count.seconds += Math.max(0, file.endTime - file.startTime) / 1000;
  for (const { status } of file.assertionResults) count[status === 'passed' || status === 'failed' ? status : 'skipped'] += 1;
  // A file that does not load has no tests to count: it is one failure.
  if (file.status === 'failed' && !file.assertionResults.some(({ status }) => status === 'failed')) count.failed += 1;
}

/** pytest's junit report. @param {string} xml @returns {Count} */
export function countJunit(xml) {
  const attribute = (/** @type {string} */ name) => Number(new RegExp(`<testsuite [^>]*\\b${name}="(\\d+)"`).exec(xml)?.[1] ?? 0);
  const failed = attribute('errors') + attribute('failures');
  const skipped = attribute('skipped');
  return { ...noTests(), passed: attribute('tests') - failed - skipped, failed, skipped };
}

/** A runner that ended badly without a failed test is a failure all the same. @param {readonly Count[]} counts @param {string} runner @param {number} code */
export function distrust(counts, runner, code) {
  const [first] = counts;
  if (code === 0 || first === undefined || counts.some((count) => count.failed > 0)) return;
  first.failed += 1;
  first.notes.push(`${runner} ended with exit code ${code} though no test failed: see its output above`);
}

/** @param {Map<string, Count>} counts @returns {{ lines: string[], exitCode: number }} the last line is the verdict */
export function summary(counts) {
  const total = noTests();
  const row = (/** @type {string} */ name, /** @type {string[]} */ columns) => name.padEnd(14) + columns.map((column) => column.padStart(9)).join('');
  const lines = [row('tier', ['passed', 'failed', 'skipped', 'seconds'])];
  for (const [name, count] of counts) {
    lines.push([row(name, [`${count.passed}`, `${count.failed}`, `${count.skipped}`, count.seconds.toFixed(1)]), ...count.notes].join('  '));
    total.passed += count.passed;
    total.failed += count.failed;
    total.skipped += count.skipped;
  }
  const nothingRan = total.passed + total.failed === 0;
  if (nothingRan) lines.push('No test ran.');
  lines.push(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
  return { lines, exitCode: total.failed > 0 || nothingRan ? 1 : 0 };
}
