/** When two answers are the same: the rules stand where a judge would stand in a larger system. */

/** Case-folded words, single spaces, no closing punctuation; digits that stand apart are one number: "1 8 0 km ." → "180 km". */
export function normaliseAnswer(text: string): string {
  return text
    .toLowerCase()
    .trim()
    .replace(/\s+/g, ' ')
    .replace(/[\s.,;!?]+$/, '')
    .replace(/(?<=\d) (?=\d)/g, '')
    .replace(/(?<=\d) ?\. ?(?=\d)/g, '.')
    .replace(/^- (?=\d)/, '-');
}

/** Equal after normalisation; numbers by value ("2.50 km" is "2.5 km"), their unit word by word. */
export function answersMatch(given: string, expected: string): boolean {
  const left = normaliseAnswer(given);
  const right = normaliseAnswer(expected);
  if (left === right) return left !== '';
  const a = quantityOf(left);
  const b = quantityOf(right);
  return a !== null && b !== null && a.unit === b.unit && a.value === b.value;
}

export interface Quantity {
  readonly value: number;
  /** '' where there is none. */
  readonly unit: string;
}

/** A number and what follows it, of a normalised answer; null where it does not start with a number. */
export function quantityOf(normalised: string): Quantity | null {
  const match = /^(-?\d+(?:\.\d+)?)(?: (.+))?$/.exec(normalised);
  if (match === null) return null;
  return { value: Number(match[1]), unit: match[2] ?? '' };
}
