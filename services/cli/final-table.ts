/** The table at the end: who is how good at what. Pure. */
import { DOMAINS } from '../../core/environment.js';
import { gapText, meanOver, shareText } from '../report/domain-means.js';
import type { ByDomain } from '../report/domain-means.js';
import { routedOracle } from './outcome.js';
import type { Accuracy } from './outcome.js';

interface Row {
  readonly name: string;
  readonly values: ByDomain;
}

function rowsOf(accuracy: Accuracy): Row[] {
  return [
    { name: 'SFT', values: accuracy.sft },
    ...DOMAINS.map((domain) => ({ name: `${domain} teacher`, values: accuracy.teachers[domain] ?? {} })),
    { name: 'student', values: accuracy.student },
  ];
}

/**
 * Rows SFT, four teachers, student; columns the domains, their mean, and how far the mean is from the routed oracle
 * (each domain's own teacher), whose own figures close the table.
 */
export function finalTable(accuracy: Accuracy): string {
  const oracle = routedOracle(accuracy);
  const header = ['accuracy', ...DOMAINS, 'mean', 'vs routed oracle'];
  const body = rowsOf(accuracy).map(({ name, values }) =>
    [name, ...DOMAINS.map((domain) => shareText(values[domain])), shareText(meanOver(values)), gapText(values, oracle)]);
  const last = ['routed oracle', ...DOMAINS.map((domain) => shareText(oracle[domain])), shareText(meanOver(oracle)), ''];
  const widths = header.map((_, column) => Math.max(...[header, ...body, last].map((row) => (row[column] ?? '').length)));
  const line = (row: readonly string[]): string =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  ').trimEnd();
  const rule = '─'.repeat(widths.reduce((sum, width) => sum + width + 2, -2));
  return [line(header), rule, ...body.map(line), rule, line(last)].join('\n');
}
