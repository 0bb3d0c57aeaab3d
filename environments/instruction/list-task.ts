/** Lists under composable constraints: `write reverse , start rug : bell coin lamp` → `rug lamp coin bell`. */
import { SLOT_OF, solveList } from '../../core/verify/constraints.js';
import type { Constraint, ConstraintKind, ListTask, Slot } from '../../core/verify/constraints.js';
import type { Random } from '../random.js';
import { GOODS } from '../words.js';

export interface DrawnList {
  readonly prompt: string;
  readonly answer: string;
  readonly list: ListTask;
}

export const JOIN_SYMBOLS = ['&', '|', '~'] as const;

export const LIST_WORDS: readonly string[] = [
  ...GOODS, ...Object.keys(SLOT_OF), ...JOIN_SYMBOLS, ...new Set(GOODS.map((word) => word[0] as string)), 'write', ',', ':', '*',
];

const SLOTS: readonly Slot[] = ['selection', 'order', 'repetition', 'addition', 'form'];

export interface ListShape {
  readonly minWords: number;
  readonly maxWords: number;
  readonly listWords: number;
  readonly kinds: readonly ConstraintKind[];
}

export function drawList(random: Random, constraintCount: number, shape: ListShape): DrawnList {
  const stateable = SLOTS.filter((slot) => kindsOf(shape, slot).length > 0);
  const slots = random.sample(stateable, constraintCount).sort((a, b) => SLOTS.indexOf(a) - SLOTS.indexOf(b));
  const length = random.between(shape.minWords, shape.maxWords);
  const words = listWords(shape.listWords);
  const kinds = slots.map((slot) => random.pick(kindsOf(shape, slot)));
  const source = drawSource(random, words, { length, repeat: kinds.includes('unique') });
  const stated = kinds.map((kind) => fill(random, kind, { source, words }));
  const ordered = stated.some((constraint) => SLOT_OF[constraint.kind] === 'order');
  const constraints: Constraint[] = ordered ? stated : [...stated, { kind: 'keep' }];
  const list: ListTask = { source, constraints };
  return { prompt: `write ${stated.map(phrase).join(' , ')} : ${source.join(' ')}`, answer: solveList(list).join(' '), list };
}

function kindsOf({ kinds }: ListShape, slot: Slot): ConstraintKind[] {
  return kinds.filter((kind) => SLOT_OF[kind] === slot);
}

/** The first letters come in turn, so that a shorter list still has words of every letter. */
function listWords(count: number): string[] {
  const rank = (word: string): number => GOODS.filter((other) => other[0] === word[0] && other < word).length;
  return [...GOODS].sort((a, b) => rank(a) - rank(b)).slice(0, count);
}

/** Words differ, except under `unique`, which needs one twice. */
function drawSource(random: Random, words: readonly string[], { length, repeat }: { readonly length: number; readonly repeat: boolean }): string[] {
  if (!repeat) return random.sample(words, length);
  const different = random.sample(words, length - 1);
  return random.shuffled([...different, random.pick(different)]);
}

function fill(random: Random, kind: ConstraintKind, { source, words }: { readonly source: readonly string[]; readonly words: readonly string[] }): Constraint {
  const outside = words.filter((word) => !source.includes(word));
  switch (kind) {
    case 'drop': return { kind, word: random.pick(source) };
    case 'letter': return { kind, letter: random.pick(source)[0] as string };
    case 'first': case 'last': return { kind, count: random.between(1, source.length - 1) };
    case 'start': case 'end': return { kind, word: random.pick(outside) };
    case 'join': return { kind, symbol: random.pick(JOIN_SYMBOLS) };
    default: return { kind };
  }
}

function phrase(constraint: Constraint): string {
  switch (constraint.kind) {
    case 'drop': case 'start': case 'end': return `${constraint.kind} ${constraint.word}`;
    case 'letter': return `letter ${constraint.letter}`;
    case 'first': case 'last': return `${constraint.kind} ${constraint.count}`;
    case 'join': return `join ${constraint.symbol}`;
    default: return constraint.kind;
  }
}
