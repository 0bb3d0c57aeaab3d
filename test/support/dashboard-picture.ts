/** Draws a dashboard from what its queries returned: panels where Grafana would place them, with its legends and units. Not Grafana's rendering. */
import type { GridPos, Panel } from '@grafana/grafana-foundation-sdk/dashboard';
import { element, escapeText, linearScale, niceTicks, numberText } from '../../services/report/svg.js';
import type { Series } from './prometheus.js';

export interface Drawn {
  readonly title: string;
  /** What it is drawn from, for the reader. */
  readonly caption: string;
  readonly panels: readonly DrawnPanel[];
  /** Seconds since the epoch. */
  readonly from: number;
  readonly to: number;
}

export interface DrawnPanel {
  readonly panel: Panel;
  readonly series: readonly { readonly name: string; readonly values: Series['values'] }[];
}

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

type Times = Pick<Drawn, 'from' | 'to'>;
type Shown = { readonly name: string; readonly points: readonly (readonly [number, number])[] };

const COLUMNS = 24;
const CELL = { width: 50, height: 30 };
const GAP = 8;
const HEAD = 64;
const LEGEND_ROW = 15;
const MOST_IN_LEGEND = 6;
const COLORS = ['#2a78d6', '#d9582b', '#12946a', '#c77d00', '#6a4fc4', '#b3361f', '#0f8ea3', '#8a6d1f', '#5a6068', '#c43d86'];
const STYLE = `text{font:11px system-ui,"DejaVu Sans",sans-serif;fill:#5a6068}.title{font-weight:600;font-size:12.5px;fill:#16181d}.page{font-size:18px;font-weight:700;fill:#16181d}
.panel{fill:#fff;stroke:#e3e4e6}.grid{stroke:#eceded}.big{font-size:17px;font-weight:600;fill:#16181d}`;

export function drawDashboard(drawn: Drawn): string {
  const places = placed(drawn.panels.map(({ panel }) => panel.gridPos ?? { x: 0, y: 0, w: 8, h: 8 }));
  const bottom = Math.max(...places.map(({ y, h }) => y + h)) * CELL.height;
  const width = COLUMNS * CELL.width + 2 * GAP;
  const height = HEAD + bottom + GAP;
  const body = drawn.panels.map((each, index) => drawPanel(each, boxOf(places[index]!), drawn)).join('\n');
  return element('svg', { xmlns: 'http://www.w3.org/2000/svg', viewBox: `0 0 ${width} ${height}`, width, height, role: 'img' }, [
    element('style', {}, STYLE), element('rect', { width, height, fill: '#fafafa' }),
    element('text', { class: 'page', x: GAP + 4, y: 28 }, escapeText(drawn.title)), element('text', { x: GAP + 4, y: 48 }, escapeText(drawn.caption)), body,
  ].join('\n'));
}

/** As Grafana does: one that is too far right moves left, one that is in the way of an earlier one moves down. */
function placed(wanted: readonly GridPos[]): GridPos[] {
  const places: GridPos[] = [];
  for (const { x, y, w, h } of wanted) {
    const place = { x: Math.min(x, COLUMNS - w), y, w, h };
    const inTheWay = (): GridPos | undefined => places.find((other) => other.x < place.x + place.w && place.x < other.x + other.w && other.y < place.y + place.h && place.y < other.y + other.h);
    for (let other = inTheWay(); other; other = inTheWay()) place.y = other.y + other.h;
    places.push(place);
  }
  return places;
}

function boxOf({ x, y, w, h }: GridPos): Box {
  return { x: GAP + x * CELL.width, y: HEAD + y * CELL.height, width: w * CELL.width - GAP, height: h * CELL.height - GAP };
}

function drawPanel({ panel, series }: DrawnPanel, box: Box, times: Times): string {
  const shown = series.map(({ name, values }) => ({ name, points: values.map(([time, value]) => [time, Number(value)] as const).filter(([, value]) => Number.isFinite(value)) }))
    .filter(({ points }) => points.length > 0);
  const inside = { x: box.x + 10, y: box.y + 28, width: box.width - 20, height: box.height - 36 };
  const content = panel.type === 'text' ? writing(panel, inside) : shown.length === 0 ? nothing(panel, inside) : DRAW[panel.type as keyof typeof DRAW](panel, shown, inside, times);
  return element('g', {}, element('rect', { class: 'panel', x: box.x, y: box.y, width: box.width, height: box.height, rx: 4 })
    + element('text', { class: 'title', x: box.x + 10, y: box.y + 18 }, escapeText(panel.title ?? '')) + content);
}

const DRAW = { timeseries: lines, stat: numbers, bargauge: bars };

function nothing(panel: Panel, box: Box): string {
  return element('text', { x: box.x + box.width / 2, y: box.y + box.height / 2, 'text-anchor': 'middle' }, escapeText(panel.fieldConfig?.defaults.noValue ?? 'no data'));
}

function writing(panel: Panel, box: Box): string {
  const content = String((panel.options as { content?: string } | undefined)?.content ?? '');
  return content.split('\n').filter((line) => line !== '').map((line, row) => element('text', { x: box.x, y: box.y + 12 + row * 17 }, escapeText(line.replaceAll('`', '')))).join('');
}

function lines(panel: Panel, shown: readonly Shown[], box: Box, { from, to }: Times): string {
  const rows = Math.min(shown.length, MOST_IN_LEGEND) + (shown.length > MOST_IN_LEGEND ? 1 : 0);
  const plot = { left: box.x + 46, right: box.x + box.width, top: box.y, bottom: box.y + box.height - Math.ceil(rows / 2) * LEGEND_ROW - 20 };
  const all = shown.flatMap(({ points }) => points.map(([, value]) => value));
  const low = Math.min(...all, panel.fieldConfig?.defaults.min ?? Infinity);
  const high = Math.max(...all);
  const ticks = niceTicks(low, high > low ? high : low + 1, 4);
  const y = linearScale([ticks[0] ?? 0, ticks.at(-1) ?? 1], [plot.bottom, plot.top]);
  const x = linearScale([from, to], [plot.left, plot.right]);
  const grid = ticks.map((tick) => element('line', { class: 'grid', x1: plot.left, x2: plot.right, y1: y.at(tick), y2: y.at(tick) })
    + element('text', { x: plot.left - 5, y: y.at(tick) + 4, 'text-anchor': 'end' }, valueText(tick, panel)));
  const seconds = niceTicks(0, to - from, 5).filter((second) => second <= to - from).map((second) => element('text', { x: x.at(from + second), y: plot.bottom + 14, 'text-anchor': 'middle' }, `${second} s`));
  const curves = shown.map(({ points }, index) => curve(points.map(([time, value]) => [x.at(time), y.at(value)]), colorAt(index)));
  return [...grid, ...seconds, ...curves, ...legend(shown, { ...box, y: plot.bottom + 30 })].join('');
}

function curve(points: readonly (readonly number[])[], color: string): string {
  const [only] = points;
  if (points.length === 1 && only) return element('circle', { cx: only[0] ?? 0, cy: only[1] ?? 0, r: 2.5, fill: color });
  return element('polyline', { fill: 'none', stroke: color, 'stroke-width': 1.5, points: points.map((point) => point.map((at) => Math.round(at * 10) / 10).join(',')).join(' ') });
}

function legend(shown: readonly Shown[], box: Box): string[] {
  const entry = (text: string, index: number, color: string): string => {
    const at = { x: box.x + (index % 2) * (box.width / 2), y: box.y + Math.floor(index / 2) * LEGEND_ROW };
    return element('rect', { x: at.x, y: at.y - 7, width: 9, height: 3, fill: color }) + element('text', { x: at.x + 13, y: at.y }, escapeText(shortened(text, box.width / 2 / 6.2 - 3)));
  };
  const entries = shown.slice(0, MOST_IN_LEGEND).map(({ name }, index) => entry(name, index, colorAt(index)));
  return shown.length > MOST_IN_LEGEND ? [...entries, entry(`and ${shown.length - MOST_IN_LEGEND} more`, MOST_IN_LEGEND, 'none')] : entries;
}

function numbers(panel: Panel, shown: readonly Shown[], box: Box): string {
  const names = (panel.options as { textMode?: string }).textMode === 'name';
  const most = Math.max(1, Math.floor(box.height / (names ? 22 : 34)));
  return shown.slice(0, most).map(({ name, points }, row) => (names
    ? element('text', { class: 'big', x: box.x, y: box.y + 18 + row * 22 }, escapeText(shortened(name, box.width / 9)))
    : element('text', { class: 'big', x: box.x, y: box.y + 18 + row * 34 }, valueText(last(points), panel)) + element('text', { x: box.x, y: box.y + 31 + row * 34 }, escapeText(shortened(name, box.width / 6)))
  )).join('') + (shown.length > most ? element('text', { x: box.x + box.width, y: box.y + box.height, 'text-anchor': 'end' }, `and ${shown.length - most} more`) : '');
}

function bars(panel: Panel, shown: readonly Shown[], box: Box): string {
  const row = Math.min(24, box.height / shown.length);
  const left = box.x + box.width * 0.45;
  const width = linearScale([0, panel.fieldConfig?.defaults.max ?? Math.max(...shown.map(({ points }) => last(points)))], [0, box.width * 0.45]);
  return shown.map(({ name, points }, index) => {
    const y = box.y + index * row;
    return element('text', { x: left - 6, y: y + row / 2 + 4, 'text-anchor': 'end' }, escapeText(name))
      + element('rect', { x: left, y: y + row * 0.2, width: Math.max(1, width.at(last(points))), height: row * 0.6, fill: colorAt(index) })
      + element('text', { x: left + width.at(last(points)) + 6, y: y + row / 2 + 4 }, valueText(last(points), panel));
  }).join('');
}

const last = (points: Shown['points']): number => points.at(-1)?.[1] ?? 0;
const colorAt = (index: number): string => COLORS[index % COLORS.length] ?? '#5a6068';
const shortened = (text: string, most: number): string => (text.length > most ? `${text.slice(0, Math.max(1, Math.floor(most) - 1))}…` : text);

function valueText(value: number, panel: Panel): string {
  const unit = panel.fieldConfig?.defaults.unit;
  if (unit === 'percentunit') return `${numberText(value * 100)} %`;
  if (unit === 's') return value !== 0 && Math.abs(value) < 1 ? `${numberText(value * 1000)} ms` : `${numberText(value)} s`;
  if (unit === 'ops') return `${numberText(value)}/s`;
  if (unit === 'bytes' || unit === 'Bps') return `${bytesText(value)}${unit === 'Bps' ? '/s' : ''}`;
  return numberText(value);
}

function bytesText(value: number): string {
  const [size, name] = ([[2 ** 30, 'GiB'], [2 ** 20, 'MiB'], [2 ** 10, 'KiB']] as const).find(([least]) => Math.abs(value) >= least) ?? [1, 'B'];
  return `${numberText(value / size)} ${name}`;
}
