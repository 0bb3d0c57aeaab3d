/**
 * The `code` tool: a calculator for + − * / and parentheses over tokens. Exact rationals, bounded depth and size,
 * no evaluation of text as program. Adjacent digits are one number.
 *   sum := product (('+'|'-') product)*    product := factor (('*'|'/') factor)*    factor := number | '(' sum ')' | '-' factor
 */

export type Evaluation = { readonly ok: true; readonly value: string } | { readonly ok: false; readonly problem: string };

interface Ratio {
  readonly top: bigint;
  readonly bottom: bigint;
}

interface Cursor {
  readonly tokens: readonly string[];
  at: number;
  depth: number;
}

class ExpressionProblem extends Error {}

const MAX_TOKENS = 64;
const MAX_DEPTH = 16;
const LARGEST = 10n ** 12n;
const DECIMALS = 2;

/** The value spelled digit by digit, rounded half away from zero to two decimals. Never throws. */
export function evaluateExpression(words: readonly string[]): Evaluation {
  try {
    const tokens = joinDigits(words);
    if (tokens.length === 0) throw new ExpressionProblem('error empty code');
    if (tokens.length > MAX_TOKENS) throw new ExpressionProblem('error code too large');
    const cursor: Cursor = { tokens, at: 0, depth: 0 };
    const value = readSum(cursor);
    if (cursor.at < tokens.length) throw new ExpressionProblem('error bad code');
    return { ok: true, value: spell(value) };
  } catch (error) {
    if (error instanceof ExpressionProblem) return { ok: false, problem: error.message };
    throw error;
  }
}

export const EXPRESSION_PROBLEM_WORDS = ['error', 'empty', 'code', 'too', 'large', 'bad', 'zero', 'divide', 'by', '(', ')', '.', '-'] as const;

function joinDigits(words: readonly string[]): string[] {
  const tokens: string[] = [];
  let inNumber = false;
  for (const word of words) {
    const digit = /^\d$/.test(word);
    if (digit && inNumber) tokens[tokens.length - 1] += word;
    else tokens.push(word);
    inNumber = digit;
  }
  return tokens;
}

function readSum(cursor: Cursor): Ratio {
  let left = readProduct(cursor);
  for (let sign = cursor.tokens[cursor.at]; sign === '+' || sign === '-'; sign = cursor.tokens[cursor.at]) {
    cursor.at++;
    const right = readProduct(cursor);
    const top = left.top * right.bottom + (sign === '+' ? 1n : -1n) * right.top * left.bottom;
    left = bounded(top, left.bottom * right.bottom);
  }
  return left;
}

function readProduct(cursor: Cursor): Ratio {
  let left = readFactor(cursor);
  for (let sign = cursor.tokens[cursor.at]; sign === '*' || sign === '/'; sign = cursor.tokens[cursor.at]) {
    cursor.at++;
    const right = readFactor(cursor);
    if (sign === '/' && right.top === 0n) throw new ExpressionProblem('error divide by zero');
    left = sign === '*' ? bounded(left.top * right.top, left.bottom * right.bottom) : bounded(left.top * right.bottom, left.bottom * right.top);
  }
  return left;
}

function readFactor(cursor: Cursor): Ratio {
  const token = cursor.tokens[cursor.at++];
  if (token !== undefined && /^\d+$/.test(token)) return bounded(BigInt(token), 1n);
  if (token !== '(' && token !== '-') throw new ExpressionProblem('error bad code');
  if (++cursor.depth > MAX_DEPTH) throw new ExpressionProblem('error code too large');
  const inner = token === '-' ? readFactor(cursor) : readSum(cursor);
  cursor.depth--;
  if (token === '-') return { top: -inner.top, bottom: inner.bottom };
  if (cursor.tokens[cursor.at++] !== ')') throw new ExpressionProblem('error bad code');
  return inner;
}

function bounded(top: bigint, bottom: bigint): Ratio {
  const sign = bottom < 0n ? -1n : 1n;
  const divisor = greatestCommonDivisor(top, bottom);
  const ratio = { top: (sign * top) / divisor, bottom: (sign * bottom) / divisor };
  if (magnitude(ratio.top) > LARGEST || ratio.bottom > LARGEST) throw new ExpressionProblem('error code too large');
  return ratio;
}

function greatestCommonDivisor(a: bigint, b: bigint): bigint {
  let [x, y] = [magnitude(a), magnitude(b)];
  while (y !== 0n) [x, y] = [y, x % y];
  return x === 0n ? 1n : x;
}

function magnitude(value: bigint): bigint {
  return value < 0n ? -value : value;
}

function spell({ top, bottom }: Ratio): string {
  const scale = 10n ** BigInt(DECIMALS);
  const scaled = (magnitude(top) * scale * 2n + bottom) / (bottom * 2n);
  const whole = (scaled / scale).toString();
  const decimals = (scaled % scale).toString().padStart(DECIMALS, '0').replace(/0+$/, '');
  const sign = top < 0n && scaled > 0n ? '-' : '';
  return [...(sign + whole + (decimals === '' ? '' : `.${decimals}`))].join(' ');
}
