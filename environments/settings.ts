/** A domain's settings: defaults, types and ranges in one table; every problem is reported at once. */
import type { Domain, Json } from '../core/environment.js';
import { StemmaError } from '../core/errors.js';

export type RawSettings = { readonly [key: string]: Json };

/** What a setting may be: `problem` says what is wrong with a value, or is null. */
export interface SettingRule<T> {
  readonly fallback: T;
  problem(value: Json): string | null;
}

type Rules<S> = { readonly [K in keyof S]: SettingRule<S[K]> };

export function integerSetting(fallback: number, low: number, high: number): SettingRule<number> {
  return {
    fallback,
    problem: (value) =>
      typeof value === 'number' && Number.isInteger(value) && value >= low && value <= high ? null : `must be an integer from ${low} to ${high}`,
  };
}

export function numberSetting(fallback: number, low: number, high: number): SettingRule<number> {
  return {
    fallback,
    problem: (value) => (typeof value === 'number' && value >= low && value <= high ? null : `must be a number from ${low} to ${high}`),
  };
}

/** A choice of names, at least `least` of them, each once. */
export function choiceSetting<T extends string>(known: readonly T[], least: number): SettingRule<readonly T[]> {
  return {
    fallback: known,
    problem(value) {
      if (!Array.isArray(value)) return `must be a list of ${known.join(', ')}`;
      const unknown = (value as readonly Json[]).filter((name) => !known.includes(name as T));
      if (unknown.length > 0) return `names unknown ${unknown.map(String).join(', ')}; known: ${known.join(', ')}`;
      return new Set(value).size < Math.max(least, value.length) ? `must name at least ${least}, each once` : null;
    },
  };
}

/** Named mixtures: name → variant → share. '' is the mixture that evaluation and RL take when a recipe names no variant. */
export type Mixtures = { readonly [name: string]: { readonly [variant: string]: number } };

export function mixturesSetting(fallback: Mixtures, variants: readonly string[]): SettingRule<Mixtures> {
  return {
    fallback,
    problem: (value) => {
      if (!isObject(value)) return 'must map mixture names to {variant: share}';
      for (const [name, shares] of Object.entries(value)) {
        if (variants.includes(name)) return `mixture "${name}" has the name of a variant`;
        if (!isObject(shares)) return `mixture "${name}" must map variants to shares`;
        const unknown = Object.keys(shares).filter((variant) => !variants.includes(variant));
        if (unknown.length > 0) return `mixture "${name}" names unknown variants ${unknown.join(', ')}; known: ${variants.join(', ')}`;
        const values = Object.values(shares);
        if (!values.every((share) => typeof share === 'number' && share >= 0)) return `mixture "${name}" has a share that is not a number ≥ 0`;
        if (!values.some((share) => (share as number) > 0)) return `mixture "${name}" has no positive share`;
      }
      return null;
    },
  };
}

/** Throws INVALID naming each unknown key and each value out of range. Mixtures given are added to the default ones. */
export function readSettings<S extends object>(domain: Domain, raw: RawSettings, rules: Rules<S>): S {
  const problems: string[] = [];
  for (const key of Object.keys(raw)) {
    if (!(key in rules)) problems.push(`environments.${domain}.${key}: unknown setting; known: ${Object.keys(rules).join(', ')}`);
  }
  const settings: { [key: string]: unknown } = {};
  for (const key of Object.keys(rules) as (keyof S & string)[]) {
    const rule = rules[key];
    const value = raw[key];
    settings[key] = rule.fallback;
    if (value === undefined) continue;
    const problem = rule.problem(value);
    if (problem !== null) problems.push(`environments.${domain}.${key}: ${problem}`);
    settings[key] = key === 'mixtures' && isObject(value) ? { ...(rule.fallback as object), ...value } : value;
  }
  if (problems.length > 0) {
    throw new StemmaError('recipe', 'INVALID', problems.join('\n'), 'Correct these settings in the recipe.');
  }
  return settings as S;
}

function isObject(value: unknown): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
