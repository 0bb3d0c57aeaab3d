/** Graded formula and unit problems. Results are whole numbers; every expression is what an expert would compute. */
import type { Random } from '../random.js';
import { spellNumber } from './numbers.js';
import type { ScienceSettings } from './settings.js';

export interface Problem {
  readonly prompt: string;
  /** Number and unit, e.g. `5 6 km`. */
  readonly answer: string;
  /** What to compute, e.g. `7 * 8`. */
  readonly expression: string;
  /** Its value, e.g. `5 6`. */
  readonly value: string;
}

interface Quantity {
  readonly name: string;
  readonly unit: string;
}

/** product = left · right */
interface Formula {
  readonly product: Quantity;
  readonly left: Quantity;
  readonly right: Quantity;
}

const formula = (product: string, left: string, right: string): Formula => {
  const quantity = (text: string): Quantity => {
    const [name, unit] = text.split(' ') as [string, string];
    return { name, unit };
  };
  return { product: quantity(product), left: quantity(left), right: quantity(right) };
};

const FORMULAS: readonly Formula[] = [
  formula('distance km', 'speed km/h', 'time h'),
  formula('distance m', 'speed m/s', 'time s'),
  formula('force n', 'mass kg', 'acceleration m/s2'),
  formula('work j', 'force n', 'distance m'),
  formula('work j', 'power w', 'time s'),
  formula('mass kg', 'density kg/l', 'volume l'),
  formula('voltage v', 'current a', 'resistance ohm'),
  formula('power w', 'voltage v', 'current a'),
];

/** One of the larger unit is `factor` of the smaller. */
const CONVERSIONS: readonly { readonly large: string; readonly small: string; readonly factor: number }[] = [
  { large: 'h', small: 'min', factor: 60 },
  { large: 'min', small: 's', factor: 60 },
  { large: 'day', small: 'h', factor: 24 },
  { large: 'week', small: 'day', factor: 7 },
  { large: 'year', small: 'month', factor: 12 },
  { large: 'm', small: 'cm', factor: 100 },
  { large: 'km', small: 'm', factor: 1000 },
];

export const SCIENCE_WORDS: readonly string[] = [...new Set([
  'solve', 'find', 'convert', 'to', 'start', 'then', '+', '-', '*', '/', '=',
  ...FORMULAS.flatMap(({ product, left, right }) => [product, left, right].flatMap(({ name, unit }) => [name, unit])),
  ...CONVERSIONS.flatMap(({ large, small }) => [large, small]),
])];

export function drawProblem(random: Random, variant: string, settings: ScienceSettings): Problem {
  if (variant === 'grade-2') return drawConversion(random, settings.maxConverted);
  const chosen = random.pick(FORMULAS);
  const a = random.between(2, settings.maxFactor);
  const b = random.between(2, settings.maxFactor);
  return variant === 'grade-1' ? drawFormula(random, chosen, [a, b]) : drawTwoStep(random, chosen, [a, b]);
}

/** `solve speed 7 km/h time 8 h find distance`, or backwards: `solve distance 5 6 km time 8 h find speed`. */
function drawFormula(random: Random, { product, left, right }: Formula, [a, b]: readonly [number, number]): Problem {
  const unknown = random.below(3);
  if (unknown === 0) {
    const given = random.shuffled([given1(left, a), given1(right, b)]);
    return problem(['solve', ...given, 'find', product.name], { words: `${spellNumber(a)} * ${spellNumber(b)}`, value: a * b, unit: product.unit });
  }
  const [known, knownValue, sought, soughtValue] = unknown === 1 ? [right, b, left, a] as const : [left, a, right, b] as const;
  const given = random.shuffled([given1(product, a * b), given1(known, knownValue)]);
  const expression = `${spellNumber(a * b)} / ${spellNumber(knownValue)}`;
  return problem(['solve', ...given, 'find', sought.name], { words: expression, value: soughtValue, unit: sought.unit });
}

/** `… start 4 km find distance` adds an offset; `… then 5 h find distance` adds a second leg at the same rate. */
function drawTwoStep(random: Random, { product, left, right }: Formula, [a, b]: readonly [number, number]): Problem {
  const c = random.between(2, 9);
  const given = [given1(left, a), given1(right, b)];
  if (random.below(2) === 0) {
    const words = `${spellNumber(a)} * ${spellNumber(b)} + ${spellNumber(c)}`;
    return problem(['solve', ...given, 'start', `${spellNumber(c)} ${product.unit}`, 'find', product.name], { words, value: a * b + c, unit: product.unit });
  }
  const words = `${spellNumber(a)} * ( ${spellNumber(b)} + ${spellNumber(c)} )`;
  return problem(['solve', ...given, 'then', `${spellNumber(c)} ${right.unit}`, 'find', product.name], { words, value: a * (b + c), unit: product.unit });
}

/** `convert 3 h to min`, or `convert 1 8 0 min to h`. */
function drawConversion(random: Random, maxConverted: number): Problem {
  const { large, small, factor } = random.pick(CONVERSIONS);
  const amount = random.between(2, maxConverted);
  const down = random.below(2) === 0;
  const [from, to, given, value] = down ? [large, small, amount, amount * factor] as const : [small, large, amount * factor, amount] as const;
  const words = `${spellNumber(given)} ${down ? '*' : '/'} ${spellNumber(factor)}`;
  return problem(['convert', spellNumber(given), from, 'to', to], { words, value, unit: to });
}

function given1(quantity: Quantity, value: number): string {
  return `${quantity.name} ${spellNumber(value)} ${quantity.unit}`;
}

function problem(prompt: readonly string[], result: { readonly words: string; readonly value: number; readonly unit: string }): Problem {
  const value = spellNumber(result.value);
  return { prompt: prompt.join(' '), answer: `${value} ${result.unit}`, expression: result.words, value };
}
