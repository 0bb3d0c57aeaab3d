import { InvalidArgumentError } from 'commander';

const MAX_SEED = Number.MAX_SAFE_INTEGER;

export function seedValue(text: string): number {
  const seed = Number(text);
  if (!/^\d+$/.test(text) || seed > MAX_SEED) throw new InvalidArgumentError('expected an integer from 0.');
  return seed;
}

export function countValue(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a number from 1.');
}

/** 90s, 45m, 36h or 2d, in milliseconds. */
export function ageValue(text: string): number {
  const [, count = '', unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  if (count === '') throw new InvalidArgumentError('expected an age as 90m, 36h or 2d.');
  return Number(count) * { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit as 's' | 'm' | 'h' | 'd'];
}

/** A JSON value, or the text itself where it is none: `0.001`, `true` and `cosine` all read as meant. */
export function settingValue(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
