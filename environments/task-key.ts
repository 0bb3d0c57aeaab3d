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
  return `${space.domain}/${split}/${resolveVariant(space, split, index, variant)}/${index}`;
}

/** A variant stands for itself; a mixture draws one by index. */
function resolveVariant(space: KeySpace, split: Split, index: number, name: string): string {
  if (space.variants.includes(name)) return name;
  const mixture = space.mixtures[name];
  if (mixture === undefined) {
    const known = [...space.variants, ...Object.keys(space.mixtures)].map((entry) => `"${entry}"`).join(', ');
    throw invalid(`unknown variant "${name}" of ${space.domain}; known: ${known}`);
  }
  const shares = Object.entries(mixture).filter(([, share]) => share > 0);
  const total = shares.reduce((sum, [, share]) => sum + share, 0);
  let point = (randomOf(space.seed, space.domain, split, 'mixture', name, index).below(2 ** 30) / 2 ** 30) * total;
  for (const [variant, share] of shares) {
    point -= share;
    if (point < 0) return variant;
  }
  return (shares[shares.length - 1] as [string, number])[0];
}

export function parseTaskId(space: KeySpace, id: string): TaskKey {
  const parts = id.split('/');
  const [domain, split, variant, digits] = parts;
  const wellFormed = parts.length === 4 && domain === space.domain && (split === 'train' || split === 'evaluate')
    && space.variants.includes(variant as string) && /^(0|[1-9]\d*)$/.test(digits as string);
  if (!wellFormed) throw invalid(`"${id}" is not a task id of ${space.domain} (<domain>/<split>/<variant>/<index>)`);
  return { split: split as Split, variant: variant as string, index: Number(digits) };
}

/** Draws until the prompt belongs to the key's split: five draws on average for `evaluate`. */
export function drawForSplit<T extends { readonly prompt: string }>(space: KeySpace, key: TaskKey, draw: (random: Random) => T): T {
  for (let attempt = 0; attempt < 10_000; attempt++) {
    const drawn = draw(randomOf(space.seed, space.domain, key.split, key.variant, key.index, attempt));
    if (splitOfPrompt(drawn.prompt) === key.split) return drawn;
  }
  throw invalid(`no ${key.split} task of ${space.domain}/${key.variant} was found in 10000 draws`);
}

function invalid(message: string): StemmaError {
  return new StemmaError('environment', 'INVALID', message, 'Use an id made by taskId of the same environment, or a variant that it lists.');
}
