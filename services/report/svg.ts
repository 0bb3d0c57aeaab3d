/** SVG and HTML as text: escaping, number formats, scales, ticks. */

export function escapeText(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

type Attributes = { readonly [name: string]: string | number };

/** `children` is markup already escaped. */
export function element(name: string, attributes: Attributes, children = ''): string {
  const written = Object.entries(attributes).map(([key, value]) => ` ${key}="${typeof value === 'number' ? coordinate(value) : escapeText(value)}"`);
  return `<${name}${written.join('')}>${children}</${name}>`;
}

function coordinate(value: number): string {
  return String(Math.round(value * 100) / 100);
}

/** Linear map of [from, to] onto [start, end]. */
export interface Scale {
  readonly from: number;
  readonly to: number;
  at(value: number): number;
}

export function linearScale([from, to]: readonly [number, number], [start, end]: readonly [number, number]): Scale {
  const span = to - from || 1;
  return { from, to, at: (value) => start + ((value - from) / span) * (end - start) };
}

/** Round values covering [low, high], about `count` of them. */
export function niceTicks(low: number, high: number, count: number): number[] {
  const span = high - low || Math.abs(high) || 1;
  const rough = span / Math.max(1, count);
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 2.5, 5, 10].find((factor) => factor * magnitude >= rough) ?? 10) * magnitude;
  const first = Math.floor(low / step + 1e-9) * step;
  const ticks: number[] = [];
  for (let index = 0; first + (index - 1) * step < high - step * 1e-9; index += 1) ticks.push(Number((first + index * step).toPrecision(12)));
  return ticks;
}

/** Short, and unambiguous beside its neighbours on an axis. */
export function numberText(value: number): string {
  const size = Math.abs(value);
  if (value === 0) return '0';
  if (size >= 10_000) return `${Number((value / 1000).toPrecision(3))}k`;
  if (size < 0.001) return Number(value.toPrecision(3)).toExponential().replaceAll('-', '−');
  return String(Number(value.toPrecision(3))).replace('-', '−');
}
