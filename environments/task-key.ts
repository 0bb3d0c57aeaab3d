/** Task ids: `<domain>/<split>/<variant>/<index>`. The variant is primitive, so a task does not depend on the mixtures of a recipe. */
import type { Domain, Split } from '../core/environment.js';
import { StemmaError } from '../core/errors.js';
import { hashKey, randomOf } from './random.js';
import type { Random } from './random.js';
import type { Mixtures } from './settings.js';

export interface TaskKey {
  readonly split: Split;
  readonly variant: string;
  readonly index: number;
}

export interface KeySpace {
  readonly domain: Domain;
  readonly seed: number;
  readonly variants: readonly string[];
  readonly mixtures: Mixtures;
}

/** One prompt in five is held out, whatever variant or index makes it. */
const EVALUATE_ONE_IN = 5;

/** The split owns the prompt: a prompt seen in training is never an evaluation prompt. */
export function splitOfPrompt(prompt: string): Split {
  return hashKey(`split\u0000${prompt}`)[0] % EVALUATE_ONE_IN === 0 ? 'evaluate' : 'train';
}

export function formatTaskId(space: KeySpace, split: Split, index: number, variant: string): string {
  if (!Number.isSafeInteger(index) || index < 0) throw invalid(`task index ${index} of ${space.domain} is not a whole number ≥ 0`);
  const place = space.variants.includes(variant) ? { variant, index } : placeInMixture(space, variant, index);
  return `${space.domain}/${split}/${place.variant}/${place.index}`;
}

/** Mixtures repeat a cycle of this many tasks. */
const CYCLE = 100;

/**
 * Which variant the mixture's index-th task has, and how many of that variant came before it: shares are exact in every
 * cycle, and different indices of a mixture are different tasks.
 */
function placeInMixture(space: KeySpace, name: string, index: number): { readonly variant: string; readonly index: number } {
  const mixture = space.mixtures[name];
  if (mixture === undefined) {
    const known = [...space.variants, ...Object.keys(space.mixtures)].map((entry) => `"${entry}"`).join(', ');
    throw invalid(`unknown variant "${name}" of ${space.domain}; known: ${known}`);
  }
  const cycle = cycleOf(space, name, mixture);
  const variant = cycle[index % CYCLE] as string;
  const before = (to: number): number => cycle.slice(0, to).filter((entry) => entry === variant).length;
  return { variant, index: Math.floor(index / CYCLE) * before(CYCLE) + before(index % CYCLE) };
}

const cycles = new WeakMap<KeySpace, Map<string, readonly string[]>>();

function cycleOf(space: KeySpace, name: string, mixture: Mixtures[string]): readonly string[] {
  const ofSpace = cycles.get(space) ?? new Map<string, readonly string[]>();
  cycles.set(space, ofSpace);
  const cycle = ofSpace.get(name) ?? randomOf(space.seed, space.domain, 'mixture', name).shuffled(apportion(mixture));
  ofSpace.set(name, cycle);
  return cycle;
}

/** CYCLE places by shares: whole parts, then the largest remainders. */
function apportion(mixture: Mixtures[string]): string[] {
  const total = Object.values(mixture).reduce((sum, share) => sum + share, 0);
  const quotas = Object.entries(mixture).map(([variant, share]) => ({ variant, quota: (share / total) * CYCLE }));
  const places = quotas.flatMap(({ variant, quota }) => new Array<string>(Math.floor(quota)).fill(variant));
  const byRemainder = quotas.slice().sort((a, b) => (b.quota % 1) - (a.quota % 1));
  return [...places, ...byRemainder.slice(0, CYCLE - places.length).map(({ variant }) => variant)];
}

export function parseTaskId(space: KeySpace, id: string): TaskKey {
  const parts = id.split('/');
  const [domain, split, variant, digits] = parts;
  const wellFormed = parts.length === 4 && domain === space.domain && (split === 'train' || split === 'evaluate')
    && space.variants.includes(variant as string) && /^(0|[1-9]\d*)$/.test(digits as string);
  if (!wellFormed) throw invalid(`"${id}" is not a task id of ${space.domain} (<domain>/<split>/<variant>/<index>)`);
  return { split: split as Split, variant: variant as string, index: Number(digits) };
}

/** For large spaces. Draws until the prompt belongs to the key's split: five draws on average for `evaluate`. */
export function drawForSplit<T extends { readonly prompt: string }>(space: KeySpace, key: TaskKey, draw: (random: Random) => T): T {
  for (let attempt = 0; attempt < 10_000; attempt++) {
    const drawn = draw(randomOf(space.seed, space.domain, key.split, key.variant, key.index, attempt));
    if (splitOfPrompt(drawn.prompt) === key.split) return drawn;
  }
  throw invalid(`no ${key.split} task of ${space.domain}/${key.variant} was found in 10000 draws`);
}

/** For small spaces: all tasks of a variant, shuffled; none repeats before all were given. Made on first use. */
export function poolForSplit<T extends { readonly prompt: string }>(enumerate: (variant: string) => readonly T[]): (space: KeySpace, key: TaskKey) => T {
  const pools = new Map<string, readonly T[]>();
  return (space, key) => {
    const name = `${key.split}/${key.variant}`;
    let pool = pools.get(name);
    if (pool === undefined) {
      const tasks = enumerate(key.variant).filter((task) => splitOfPrompt(task.prompt) === key.split);
      pool = randomOf(space.seed, space.domain, name).shuffled(tasks);
      pools.set(name, pool);
    }
    return pool[key.index % pool.length] as T;
  };
}

function invalid(message: string): StemmaError {
  return new StemmaError('environment', 'INVALID', message, 'Use an id made by taskId of the same environment, or a variant that it lists.');
}
