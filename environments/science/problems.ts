/** Graded formula and unit problems. Results are whole numbers; every expression is what an expert would compute. */
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

/** Every problem of a grade. */
export function enumerateProblems(variant: string, settings: ScienceSettings): Problem[] {
  if (variant === 'grade-2') return CONVERSIONS.flatMap((conversion) => range(2, settings.maxConverted).flatMap((amount) => conversions(conversion, amount)));
  const factors = range(2, settings.maxFactor);
  const make = variant === 'grade-1' ? formulaProblems : twoStepProblems;
  return FORMULAS.flatMap((chosen) => factors.flatMap((a) => factors.flatMap((b) => make(chosen, a, b))));
}

/** `solve speed 7 km/h time 8 h find distance`, or backwards: `solve distance 5 6 km time 8 h find speed`; either order of what is given. */
function formulaProblems({ product, left, right }: Formula, a: number, b: number): Problem[] {
  const forwards = { words: `${spellNumber(a)} * ${spellNumber(b)}`, value: a * b, unit: product.unit };
  const backwards = (known: number, value: number, unit: string): Result => ({ words: `${spellNumber(a * b)} / ${spellNumber(known)}`, value, unit });
  return [
    ...eitherOrder(stated(left, a), stated(right, b), product.name, forwards),
    ...eitherOrder(stated(product, a * b), stated(right, b), left.name, backwards(b, a, left.unit)),
    ...eitherOrder(stated(product, a * b), stated(left, a), right.name, backwards(a, b, right.unit)),
  ];
}

function eitherOrder(one: string, other: string, sought: string, result: Result): Problem[] {
  return [problem(['solve', one, other, 'find', sought], result), problem(['solve', other, one, 'find', sought], result)];
}

/** `… start 4 km find distance` adds an offset; `… then 5 h find distance` adds a second leg at the same rate. */
function twoStepProblems({ product, left, right }: Formula, a: number, b: number): Problem[] {
  const rate = ['solve', stated(left, a), stated(right, b)];
  return range(2, 9).flatMap((c) => {
    const offset = { words: `${spellNumber(a)} * ${spellNumber(b)} + ${spellNumber(c)}`, value: a * b + c, unit: product.unit };
    const legs = { words: `${spellNumber(a)} * ( ${spellNumber(b)} + ${spellNumber(c)} )`, value: a * (b + c), unit: product.unit };
    return [
      problem([...rate, 'start', `${spellNumber(c)} ${product.unit}`, 'find', product.name], offset),
      problem([...rate, 'then', `${spellNumber(c)} ${right.unit}`, 'find', product.name], legs),
    ];
  });
}

/** `convert 3 h to min`, and `convert 1 8 0 min to h`. */
function conversions({ large, small, factor }: (typeof CONVERSIONS)[number], amount: number): Problem[] {
  const down = { words: `${spellNumber(amount)} * ${spellNumber(factor)}`, value: amount * factor, unit: small };
  const up = { words: `${spellNumber(amount * factor)} / ${spellNumber(factor)}`, value: amount, unit: large };
  return [
    problem(['convert', spellNumber(amount), large, 'to', small], down),
    problem(['convert', spellNumber(amount * factor), small, 'to', large], up),
  ];
}

function range(low: number, high: number): number[] {
  return Array.from({ length: high - low + 1 }, (_, i) => low + i);
}

function stated(quantity: Quantity, value: number): string {
  return `${quantity.name} ${spellNumber(value)} ${quantity.unit}`;
}

interface Result {
  readonly words: string;
  readonly value: number;
  readonly unit: string;
}

function problem(prompt: readonly string[], result: Result): Problem {
  const value = spellNumber(result.value);
  return { prompt: prompt.join(' '), answer: `${value} ${result.unit}`, expression: result.words, value };
}
