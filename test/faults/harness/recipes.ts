/** What trials run: micro cut to one teacher, and micro made long enough that many faults find it at work. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse, stringify } from 'yaml';

const MICRO = resolve(import.meta.dirname, '../../../recipes/micro.yaml');
const SHORT_STAGES = ['sft', 'search-rl', 'distill'];
const LONG_STEPS: { readonly [kind: string]: number } = { rl: 12, distill: 60 };
/** Of a run in a cluster, where one disturbance takes half a minute: a pod that is started again, an operator that waits for a Lease, a node that is drained. */
const ENDURING_STEPS: { readonly [kind: string]: number } = { rl: 12, distill: 600 };
const SHORT_STEPS: { readonly [kind: string]: number } = { rl: 6 };

/** What happens to samples when weights change; docs/decisions/asynchronous.md. Of a synchronous run the final weights are a function of recipe and seed. */
export const ASYNCHRONOUS = ['weight', 'drop', 'inside-turn'] as const;
export type Mode = 'synchronous' | (typeof ASYNCHRONOUS)[number];

/** By kind of stage. */
const ASYNCHRONY: { readonly [M in Exclude<Mode, 'synchronous'>]: { readonly [kind: string]: object } } = {
  weight: { rl: { maxStaleness: 0, ahead: 2, onStale: 'weight', importanceCap: 2 }, distill: { maxStaleness: 1 } },
  drop: { rl: { maxStaleness: 0, ahead: 1, onStale: 'drop' }, distill: { maxStaleness: 1 } },
  'inside-turn': { rl: { maxStaleness: 2, inFlight: 'inside-turn' }, distill: { maxStaleness: 2, inFlight: 'inside-turn' } },
};
/** A round takes longer than a step then, so that steps end inside turns. */
const LONG_TURNS = { maxTurns: 2, maxTurnTokens: 160, maxContextTokens: 384 };

interface RecipeFile {
  name: string;
  budgets: { [domain: string]: object };
  stages: { id: string; kind: string; steps: number; evaluate: boolean }[];
  teachers: { [domain: string]: string };
}

export interface TrialRecipe {
  /** Path of the recipe. */
  readonly file: string;
  /** Of its run with seed 1. */
  readonly run: string;
  /** Facts after which the run may end before a fault shows. */
  readonly tooLate: RegExp;
}

/** SFT, search RL, distillation: each kind of step, and no more, but for steps to run ahead of. */
export function writeShortRecipe(folder: string, mode: Mode = 'synchronous'): TrialRecipe {
  return write(folder, { name: named('short', mode), lastStruckStep: 1 }, (recipe) => inMode(mode, {
    ...recipe,
    stages: recipe.stages.filter(({ id }) => SHORT_STAGES.includes(id)).map((stage) => (
      { ...stage, evaluate: false, steps: mode === 'synchronous' ? stage.steps : SHORT_STEPS[stage.kind] ?? stage.steps })),
    teachers: { search: 'search-rl', science: 'none', instruction: 'none', tools: 'none' },
  }));
}

/** All stages, with more steps: micro itself is over within the first fault that stops nobody. */
export function writeLongRecipe(folder: string, mode: Mode = 'synchronous'): TrialRecipe {
  return write(folder, { name: named('long', mode), lastStruckStep: 25 }, (recipe) => inMode(mode, {
    ...recipe, stages: recipe.stages.map((stage) => ({ ...stage, steps: LONG_STEPS[stage.kind] ?? stage.steps })),
  }));
}

/** Long enough for a cluster to be disturbed in every way, one after the other: minutes of steps after those of `writeLongRecipe`. */
export function writeEnduringRecipe(folder: string): TrialRecipe {
  return write(folder, { name: 'enduring', lastStruckStep: 550 }, (recipe) => ({
    ...recipe, stages: recipe.stages.map((stage) => ({ ...stage, steps: ENDURING_STEPS[stage.kind] ?? stage.steps })),
  }));
}

function named(name: string, mode: Mode): string {
  return mode === 'synchronous' ? name : `${name}-${mode}`;
}

function inMode(mode: Mode, recipe: RecipeFile): RecipeFile {
  if (mode === 'synchronous') return recipe;
  const asynchronyOf = (kind: string): object => (ASYNCHRONY[mode][kind] === undefined ? {} : { asynchronous: ASYNCHRONY[mode][kind] });
  const budgets = mode === 'inside-turn' ? Object.fromEntries(Object.keys(recipe.budgets).map((domain) => [domain, LONG_TURNS])) : recipe.budgets;
  return { ...recipe, budgets, stages: recipe.stages.map((stage) => ({ ...stage, ...asynchronyOf(stage.kind) })) };
}

function write(folder: string, { name, lastStruckStep }: { name: string; lastStruckStep: number }, change: (micro: RecipeFile) => RecipeFile): TrialRecipe {
  const file = join(folder, `${name}.yaml`);
  writeFileSync(file, stringify({ ...change(parse(readFileSync(MICRO, 'utf8')) as RecipeFile), name }, { aliasDuplicateObjects: false }));
  const next = lastStruckStep + 1;
  return { file, run: `${name}-s1-1`, tooLate: new RegExp(`distill\\.${next}\\.|distill (batchClosed|stepCommitted|episodesRequested) ${next}\\b|evaluationFinished distill`) };
}
