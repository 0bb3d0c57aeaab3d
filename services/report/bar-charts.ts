/** Accuracy as bars grouped by domain; time as stacked bars, one a stage. */
import { DOMAINS } from '../../core/environment.js';
import type { Domain } from '../../core/environment.js';
import { legend } from './line-chart.js';
import type { AccuracyData, StageData, StageSeconds } from './report-data.js';
import { element, escapeText, linearScale, niceTicks, numberText } from './svg.js';

export function colorOf(row: AccuracyData): string {
  if (row.role === 'teacher') return row.teaches ?? 'other';
  return row.role;
}

const WIDTH = 960;
const BARS = { height: 270, top: 18, bottom: 30, left: 48, right: 8, groupGap: 34, barGap: 2 };

/** A group a domain, a bar a model. The domain's own teacher has an outline: it is the routed oracle's part. */
export function accuracyBars(rows: readonly AccuracyData[]): string {
  if (rows.length === 0) return '';
  const bottom = BARS.height - BARS.bottom;
  const y = linearScale([0, 1], [bottom, BARS.top]);
  const groupWidth = (WIDTH - BARS.left - BARS.right) / DOMAINS.length;
  const grid = [0, 0.25, 0.5, 0.75, 1].map((tick) =>
    element('line', { class: 'grid', x1: BARS.left, x2: WIDTH - BARS.right, y1: y.at(tick), y2: y.at(tick) })
    + element('text', { class: 'tick', x: BARS.left - 6, y: y.at(tick) + 4, 'text-anchor': 'end' }, tick.toFixed(2)));
  const groups = DOMAINS.map((domain, index) => barGroup(rows, domain, { left: BARS.left + index * groupWidth, width: groupWidth, bottom, top: (value) => y.at(value) }));
  const label = element('text', { class: 'label', x: 12, y: (BARS.top + bottom) / 2, 'text-anchor': 'middle', transform: `rotate(-90 12 ${(BARS.top + bottom) / 2})` }, 'accuracy');
  const axis = element('line', { class: 'axis', x1: BARS.left, x2: WIDTH - BARS.right, y1: bottom, y2: bottom });
  const svg = element('svg', { viewBox: `0 0 ${WIDTH} ${BARS.height}`, role: 'img', 'aria-label': 'Accuracy by domain and model' }, [...grid, ...groups, axis, label].join(''));
  return `<figure class="wide">${svg}${legend(rows.map((row) => ({ name: row.name, color: colorOf(row) })))}</figure>`;
}

interface Group {
  readonly left: number;
  readonly width: number;
  readonly bottom: number;
  readonly top: (value: number) => number;
}

function barGroup(rows: readonly AccuracyData[], domain: Domain, group: Group): string {
  const barWidth = (group.width - BARS.groupGap) / rows.length;
  const bars = rows.map((row, index) => {
    const value = row.values[domain];
    if (value === undefined) return '';
    const x = group.left + BARS.groupGap / 2 + index * barWidth;
    const top = group.top(value);
    const own = row.teaches === domain ? ' own' : '';
    const rect = element('rect', { class: `bar series-${colorOf(row)}${own}`, x: x + BARS.barGap / 2, y: top, width: barWidth - BARS.barGap, height: Math.max(0.5, group.bottom - top), rx: 2 },
      `<title>${escapeText(`${row.name}, ${domain}: ${value.toFixed(3)}`)}</title>`);
    return rect + element('text', { class: 'value', x: x + barWidth / 2, y: top - 4, 'text-anchor': 'middle' }, value.toFixed(2).replace(/^0/, ''));
  });
  return bars.join('') + element('text', { class: 'group', x: group.left + group.width / 2, y: BARS.height - 10, 'text-anchor': 'middle' }, domain);
}

const PARTS: readonly { readonly key: keyof StageSeconds; readonly name: string; readonly color: string }[] = [
  { key: 'compute', name: 'compute', color: 'compute' },
  { key: 'orchestration', name: 'orchestration', color: 'orchestration' },
  { key: 'waiting', name: 'waiting (tools, pauses)', color: 'waiting' },
];
const TIME = { row: 30, bar: 18, top: 6, bottom: 40, left: 150, right: 190 };

export function totalSeconds(seconds: StageSeconds): number {
  return seconds.compute + seconds.orchestration + seconds.waiting;
}

/** Wall seconds a stage, split; the share of orchestration is written beside each bar. */
export function timeBars(stages: readonly StageData[]): string {
  if (stages.length === 0) return '';
  const height = TIME.top + stages.length * TIME.row + TIME.bottom;
  const bottom = height - TIME.bottom;
  const longest = Math.max(...stages.map((stage) => totalSeconds(stage.seconds)), 0.001);
  const ticks = niceTicks(0, longest, 6);
  const x = linearScale([0, ticks[ticks.length - 1] ?? longest], [TIME.left, WIDTH - TIME.right]);
  const grid = ticks.map((tick) =>
    element('line', { class: 'grid', x1: x.at(tick), x2: x.at(tick), y1: TIME.top, y2: bottom })
    + element('text', { class: 'tick', x: x.at(tick), y: bottom + 14, 'text-anchor': 'middle' }, numberText(tick)));
  const rows = stages.map((stage, index) => timeRow(stage, TIME.top + index * TIME.row, (value) => x.at(value)));
  const label = element('text', { class: 'label', x: (TIME.left + WIDTH - TIME.right) / 2, y: height - 6, 'text-anchor': 'middle' }, 'wall time, seconds');
  const svg = element('svg', { viewBox: `0 0 ${WIDTH} ${height}`, role: 'img', 'aria-label': 'Wall time by stage' }, [...grid, ...rows, label].join(''));
  return `<figure class="wide">${svg}${legend(PARTS)}</figure>`;
}

function timeRow(stage: StageData, top: number, at: (seconds: number) => number): string {
  let from = 0;
  const middle = top + TIME.row / 2;
  const bars = PARTS.map(({ key, name, color }) => {
    const seconds = stage.seconds[key];
    const start = from;
    from += seconds;
    if (seconds <= 0) return '';
    return element('rect', { class: `bar series-${color}`, x: at(start), y: middle - TIME.bar / 2, width: Math.max(0.5, at(from) - at(start) - 1), height: TIME.bar },
      `<title>${escapeText(`${stage.stage}, ${name}: ${seconds.toFixed(1)} s`)}</title>`);
  });
  const total = totalSeconds(stage.seconds);
  const share = total > 0 ? `, ${((100 * stage.seconds.orchestration) / total).toFixed(0)} % orchestration` : '';
  return element('text', { class: 'row', x: TIME.left - 8, y: middle + 4, 'text-anchor': 'end' }, escapeText(stage.stage))
    + bars.join('')
    + element('text', { class: 'tick', x: at(from) + 6, y: middle + 4 }, `${total.toFixed(1)} s${share}`);
}
