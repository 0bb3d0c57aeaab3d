/** Curves over steps: the raw values thin, their running mean bold. */
import type { Series } from './report-data.js';
import { element, escapeText, linearScale, niceTicks, numberText } from './svg.js';
import type { Scale } from './svg.js';

export interface LineChart {
  readonly title: string;
  /** On the y axis, with its unit. */
  readonly yLabel: string;
  /** A series is drawn in the colour class `series-<color>`. */
  readonly series: readonly (Series & { readonly color: string })[];
  /** Bounds that the axis always shows, e.g. [0, 1]. */
  readonly yBounds?: readonly [number | null, number | null];
  readonly width?: number;
  readonly height?: number;
}

const MARGIN = { top: 10, right: 62, bottom: 34, left: 62 };
/** Below this many points the raw curve is the curve. */
const SMOOTH_FROM_POINTS = 12;

interface Frame {
  readonly x: Scale;
  readonly y: Scale;
  readonly width: number;
  readonly height: number;
}

/** A figure with a title, axes, curves, last values and, for several series, a legend. '' without points. */
export function lineChart(chart: LineChart): string {
  const series = chart.series.filter(({ points }) => points.length > 0);
  if (series.length === 0) return '';
  const frame = frameOf(chart, series);
  const body = [axes(chart, frame), ...series.map((each) => curve(each, frame)), endLabels(series, frame)].join('');
  const label = `${chart.title}: ${chart.yLabel} by step`;
  const svg = element('svg', { viewBox: `0 0 ${frame.width} ${frame.height}`, role: 'img', 'aria-label': label }, body);
  return `<figure><figcaption>${escapeText(chart.title)}</figcaption>${svg}${series.length > 1 ? legend(series) : ''}</figure>`;
}

function frameOf(chart: LineChart, series: readonly Series[]): Frame {
  const width = chart.width ?? 320;
  const height = chart.height ?? 190;
  const points = series.flatMap((each) => each.points);
  const steps = points.map((point) => point.step);
  const values = points.map((point) => point.value);
  const ticks = niceTicks(...valueRange(values, chart.yBounds), 4);
  const lastTick = ticks[ticks.length - 1] ?? 1;
  return {
    width, height,
    x: linearScale([Math.min(...steps), Math.max(...steps, Math.min(...steps) + 1)], [MARGIN.left, width - MARGIN.right]),
    y: linearScale([ticks[0] ?? 0, Math.max(lastTick, (ticks[0] ?? 0) + Number.EPSILON)], [height - MARGIN.bottom, MARGIN.top]),
  };
}

/** Of the curves a range that shows them: never narrower than a fiftieth of the values, or noise would fill the chart. */
function valueRange(values: readonly number[], [low, high]: readonly [number | null, number | null] = [null, null]): [number, number] {
  const from = Math.min(...values, low ?? Infinity);
  const to = Math.max(...values, high ?? -Infinity);
  const least = Math.max(Math.abs(from), Math.abs(to)) / 50 || 1;
  if (to - from >= least) return [from, to];
  // A bound stays where it is.
  if (low !== null || from === 0) return [from, from + least];
  return high !== null ? [to - least, to] : [(from + to - least) / 2, (from + to + least) / 2];
}

function axes(chart: LineChart, { x, y, width, height }: Frame): string {
  const right = width - MARGIN.right;
  const bottom = height - MARGIN.bottom;
  const rows = niceTicks(y.from, y.to, 4).filter((tick) => tick >= y.from && tick <= y.to + 1e-12).map((tick) =>
    element('line', { class: 'grid', x1: MARGIN.left, x2: right, y1: y.at(tick), y2: y.at(tick) })
    + element('text', { class: 'tick', x: MARGIN.left - 6, y: y.at(tick) + 3.5, 'text-anchor': 'end' }, numberText(tick)));
  const columns = niceTicks(x.from, x.to, 4).filter((tick) => Number.isInteger(tick) && tick >= x.from && tick <= x.to).map((tick) =>
    element('line', { class: 'axis', x1: x.at(tick), x2: x.at(tick), y1: bottom, y2: bottom + 3 })
    + element('text', { class: 'tick', x: x.at(tick), y: bottom + 14, 'text-anchor': 'middle' }, numberText(tick)));
  const middle = (MARGIN.top + bottom) / 2;
  return [
    ...rows, ...columns,
    element('line', { class: 'axis', x1: MARGIN.left, x2: right, y1: bottom, y2: bottom }),
    element('text', { class: 'label', x: (MARGIN.left + right) / 2, y: height - 5, 'text-anchor': 'middle' }, 'step'),
    element('text', { class: 'label', x: 11, y: middle, 'text-anchor': 'middle', transform: `rotate(-90 11 ${middle})` }, escapeText(chart.yLabel)),
  ].join('');
}

function curve(series: Series & { readonly color: string }, frame: Frame): string {
  const path = (points: Series['points'], className: string): string => element('polyline', {
    class: `${className} series-${series.color}`, points: points.map(({ step, value }) => `${Math.round(frame.x.at(step) * 10) / 10},${Math.round(frame.y.at(value) * 10) / 10}`).join(' '),
  });
  const { points } = series;
  if (points.length === 1) {
    const only = points[0] ?? { step: 0, value: 0 };
    return element('circle', { class: `dot series-${series.color}`, cx: frame.x.at(only.step), cy: frame.y.at(only.value), r: 3.5 });
  }
  if (points.length < SMOOTH_FROM_POINTS) return path(points, 'curve');
  return path(points, 'raw') + path(runningMean(points), 'curve');
}

/** Centred mean over about a tenth of the curve; shorter windows at the ends. */
export function runningMean(points: Series['points']): Series['points'] {
  const half = Math.max(1, Math.round(points.length / 20));
  return points.map(({ step }, index) => {
    const window = points.slice(Math.max(0, index - half), index + half + 1);
    return { step, value: window.reduce((sum, point) => sum + point.value, 0) / window.length };
  });
}

const LABEL_GAP = 11;

/** Last values to the right of the curves, moved apart where they would overlap. */
function endLabels(series: readonly (Series & { readonly color: string })[], frame: Frame): string {
  const ends = series.map(({ points, color }) => {
    const smooth = points.length < SMOOTH_FROM_POINTS ? points : runningMean(points);
    const last = smooth[smooth.length - 1] ?? { step: 0, value: 0 };
    return { color, text: numberText(last.value), x: frame.x.at(last.step) + 5, y: frame.y.at(last.value) + 3.5 };
  }).sort((a, b) => a.y - b.y);
  return spread(ends.map(({ y }) => y), frame.height - MARGIN.bottom + 3.5).map((y, index) =>
    element('text', { class: `end series-${ends[index]?.color ?? ''}`, x: ends[index]?.x ?? 0, y }, ends[index]?.text ?? '')).join('');
}

/** Sorted heights moved at least a label apart: downwards from the first, then upwards from the lowest place allowed. */
function spread(heights: readonly number[], lowest: number): number[] {
  const placed = [...heights];
  for (let index = 1; index < placed.length; index += 1) placed[index] = Math.max(placed[index] ?? 0, (placed[index - 1] ?? 0) + LABEL_GAP);
  for (let index = placed.length - 1, limit = lowest; index >= 0; index -= 1, limit = (placed[index + 1] ?? 0) - LABEL_GAP) {
    placed[index] = Math.min(placed[index] ?? 0, limit);
  }
  return placed;
}

export function legend(series: readonly { readonly name: string; readonly color: string }[]): string {
  return `<ul class="legend">${series.map(({ name, color }) => `<li><i class="series-${escapeText(color)}"></i>${escapeText(name)}</li>`).join('')}</ul>`;
}
