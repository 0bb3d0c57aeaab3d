/**
 * Composable constraints on a list of words, each with a rule verifier.
 * At most one constraint of each slot stands in a task; applied in this order, verified one by one:
 *   selection (drop, letter, first, last, unique) → order (keep, reverse, sort, rotate) → twice → start, end → join, mark, count
 */

export type Constraint =
  | { readonly kind: 'drop'; readonly word: string }
  | { readonly kind: 'letter'; readonly letter: string }
  | { readonly kind: 'first' | 'last'; readonly count: number }
  | { readonly kind: 'unique' | 'keep' | 'reverse' | 'sort' | 'rotate' | 'twice' | 'mark' | 'count' }
  | { readonly kind: 'start'; readonly word: string }
  | { readonly kind: 'end'; readonly word: string }
  | { readonly kind: 'join'; readonly symbol: string };

export type ConstraintKind = Constraint['kind'];
export type Slot = 'selection' | 'order' | 'repetition' | 'addition' | 'form';

export const SLOT_OF: { readonly [K in ConstraintKind]: Slot } = {
  drop: 'selection', letter: 'selection', first: 'selection', last: 'selection', unique: 'selection',
  keep: 'order', reverse: 'order', sort: 'order', rotate: 'order',
  twice: 'repetition', start: 'addition', end: 'addition',
  join: 'form', mark: 'form', count: 'form',
};

export const MARK = '*';

/** A list of words under constraints. Exactly one order constraint; `keep` where the text asks for none. */
export interface ListTask {
  readonly source: readonly string[];
  readonly constraints: readonly Constraint[];
}

/** An answer that meets every constraint: the tokens an expert would write. */
export function solveList(task: ListTask): string[] {
  let words = orderedContent(task);
  if (find(task, 'twice')) words = [...words, ...words];
  const start = find(task, 'start');
  const end = find(task, 'end');
  words = [...(start ? [start.word] : []), ...words, ...(end ? [end.word] : [])];
  const join = find(task, 'join');
  if (join) return words.flatMap((word, i) => (i === 0 ? [word] : [join.symbol, word]));
  if (find(task, 'mark')) return words.flatMap((word) => [MARK, word]);
  if (find(task, 'count')) return [...words, ...String(words.length)];
  return words;
}

/** One verdict a constraint, in order. The order constraint also asserts that exactly the selected words are there. */
export function checkConstraints(task: ListTask, answer: readonly string[]): boolean[] {
  return task.constraints.map((constraint) => meets(task, constraint, answer));
}

function meets(task: ListTask, constraint: Constraint, answer: readonly string[]): boolean {
  const words = spokenWords(task, answer);
  const content = contentOf(task, words);
  switch (constraint.kind) {
    case 'start': return words[0] === constraint.word;
    case 'end': return words.length > 0 && words[words.length - 1] === constraint.word;
    case 'join': return answer.length % 2 === 1 && answer.every((token, i) => (token === constraint.symbol) === (i % 2 === 1));
    case 'mark': return answer.length > 0 && answer.length % 2 === 0 && answer.every((token, i) => (token === MARK) === (i % 2 === 0));
    case 'count': return words.length > 0 && same(answer, [...words, ...String(words.length)]);
    case 'twice': return halves(words, task) !== null;
    case 'drop': return content.length > 0 && !content.includes(constraint.word);
    case 'letter': return content.length > 0 && content.every((word) => word.startsWith(constraint.letter));
    case 'first': case 'last': return content.length === constraint.count;
    case 'unique': return content.length > 0 && new Set(content).size === content.length;
    case 'keep': case 'reverse': case 'sort': case 'rotate': return same(content, orderedContent(task));
  }
}

/** The words of an answer without the decoration that the task's form constraint asks for. */
function spokenWords(task: ListTask, answer: readonly string[]): readonly string[] {
  const join = find(task, 'join');
  if (join) return answer.filter((token) => token !== join.symbol);
  if (find(task, 'mark')) return answer.filter((token) => token !== MARK);
  if (find(task, 'count')) return answer.filter((token) => !/^\d+$/.test(token));
  return answer;
}

/** The spoken words without added ones; one copy where both halves of a doubled list agree. */
function contentOf(task: ListTask, words: readonly string[]): readonly string[] {
  if (find(task, 'twice')) return halves(words, task) ?? withoutAdded(task, words);
  return withoutAdded(task, words);
}

function withoutAdded(task: ListTask, words: readonly string[]): readonly string[] {
  const start = find(task, 'start');
  const end = find(task, 'end');
  const from = start && words[0] === start.word ? 1 : 0;
  const to = end && words.length > from && words[words.length - 1] === end.word ? words.length - 1 : words.length;
  return words.slice(from, to);
}

function halves(words: readonly string[], task: ListTask): readonly string[] | null {
  const inner = withoutAdded(task, words);
  const half = inner.length / 2;
  if (inner.length === 0 || !Number.isInteger(half)) return null;
  return same(inner.slice(0, half), inner.slice(half)) ? inner.slice(0, half) : null;
}

function orderedContent(task: ListTask): string[] {
  const selected = select(task);
  const order = task.constraints.find((constraint) => SLOT_OF[constraint.kind] === 'order')?.kind ?? 'keep';
  if (order === 'reverse') return selected.reverse();
  if (order === 'sort') return selected.sort();
  if (order === 'rotate') return [...selected.slice(1), ...selected.slice(0, 1)];
  return selected;
}

function select(task: ListTask): string[] {
  const constraint = task.constraints.find((entry) => SLOT_OF[entry.kind] === 'selection');
  const source = task.source.slice();
  switch (constraint?.kind) {
    case 'drop': return source.filter((word) => word !== constraint.word);
    case 'letter': return source.filter((word) => word.startsWith(constraint.letter));
    case 'first': return source.slice(0, constraint.count);
    case 'last': return source.slice(source.length - constraint.count);
    case 'unique': return [...new Set(source)];
    default: return source;
  }
}

function find<K extends ConstraintKind>(task: ListTask, kind: K): Extract<Constraint, { readonly kind: K }> | undefined {
  return task.constraints.find((constraint): constraint is Extract<Constraint, { readonly kind: K }> => constraint.kind === kind);
}

function same(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((word, i) => word === right[i]);
}
