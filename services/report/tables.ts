import { DOMAINS } from '../../core/environment.js';
import { totalSeconds } from './bar-charts.js';
import { gapText, meanOver, shareText } from './domain-means.js';
import type { ByDomain } from './domain-means.js';
import type { AccuracyData, Fact, StageData } from './report-data.js';
import { escapeText } from './svg.js';

/** Each domain's own teacher. */
export function oracleOf(rows: readonly AccuracyData[]): ByDomain {
  return Object.fromEntries(DOMAINS.flatMap((domain) => {
    const value = rows.find((row) => row.teaches === domain)?.values[domain];
    return value === undefined ? [] : [[domain, value]];
  })) as ByDomain;
}

export function accuracyTable(rows: readonly AccuracyData[]): string {
  const oracle = oracleOf(rows);
  const head = ['model', ...DOMAINS, 'mean', 'vs routed oracle'].map((name) => `<th>${name}</th>`).join('');
  const body = rows.map((row) => {
    const cells = DOMAINS.map((domain) => `<td${row.teaches === domain ? ' class="own"' : ''}>${shareText(row.values[domain])}</td>`);
    return `<tr${row.role === 'student' ? ' class="strong"' : ''}><td>${escapeText(row.name)}</td>${cells.join('')}<td>${shareText(meanOver(row.values))}</td><td>${gapText(row.values, oracle)}</td></tr>`;
  });
  const foot = `<tr><td>routed oracle</td>${DOMAINS.map((domain) => `<td>${shareText(oracle[domain])}</td>`).join('')}<td>${shareText(meanOver(oracle))}</td><td></td></tr>`;
  return `<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>${body.join('')}</tbody><tfoot>${foot}</tfoot></table></div>`;
}

export function timeTable(stages: readonly StageData[]): string {
  const head = ['stage', 'kind', 'steps', 'completed', 'truncated', 'failed', 'compute s', 'orchestration s', 'waiting s', 'wall s'].map((name) => `<th>${name}</th>`).join('');
  const row = ({ stage, kind, steps, episodes, seconds }: Pick<StageData, 'stage' | 'kind' | 'steps' | 'episodes' | 'seconds'>): string => {
    const numbers = [steps, episodes.completed, episodes.truncated, episodes.failed].map((value) => value.toLocaleString('en-US'));
    const times = [seconds.compute, seconds.orchestration, seconds.waiting, totalSeconds(seconds)].map((value) => value.toFixed(1));
    return `<tr><td>${escapeText(stage)}</td><td>${escapeText(kind)}</td>${[...numbers, ...times].map((cell) => `<td>${cell}</td>`).join('')}</tr>`;
  };
  return `<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>${stages.map(row).join('')}</tbody><tfoot>${row(totals(stages))}</tfoot></table></div>`;
}

function totals(stages: readonly StageData[]): Pick<StageData, 'stage' | 'kind' | 'steps' | 'episodes' | 'seconds'> {
  const sum = (read: (stage: StageData) => number): number => stages.reduce((total, stage) => total + read(stage), 0);
  return {
    stage: 'all', kind: '', steps: sum((stage) => stage.steps),
    episodes: { completed: sum((stage) => stage.episodes.completed), truncated: sum((stage) => stage.episodes.truncated), failed: sum((stage) => stage.episodes.failed) },
    seconds: { compute: sum((stage) => stage.seconds.compute), orchestration: sum((stage) => stage.seconds.orchestration), waiting: sum((stage) => stage.seconds.waiting) },
  };
}

export function factsTable(facts: readonly Fact[]): string {
  if (facts.length === 0) return '';
  const rows = facts.map(({ name, value }) => `<tr><td>${escapeText(name)}</td><td>${escapeText(value)}</td></tr>`);
  return `<div class="scroll"><table class="facts"><tbody>${rows.join('')}</tbody></table></div>`;
}
