/** What trials run: micro cut to one teacher, and micro made long enough that many faults find it at work. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse, stringify } from 'yaml';

const MICRO = resolve(import.meta.dirname, '../../../recipes/micro.yaml');
const SHORT_STAGES = ['sft', 'search-rl', 'distill'];
const LONG_STEPS: { readonly [kind: string]: number } = { rl: 12, distill: 60 };

interface RecipeFile {
  name: string;
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

/** SFT, search RL, distillation: each kind of step, and no more. */
export function writeShortRecipe(folder: string): TrialRecipe {
  return write(folder, { name: 'short', lastStruckStep: 1 }, (recipe) => ({
    ...recipe,
    stages: recipe.stages.filter(({ id }) => SHORT_STAGES.includes(id)).map((stage) => ({ ...stage, evaluate: false })),
    teachers: { search: 'search-rl', science: 'none', instruction: 'none', tools: 'none' },
  }));
}

/** All stages, with more steps: micro itself is over within the first fault that stops nobody. */
export function writeLongRecipe(folder: string): TrialRecipe {
  return write(folder, { name: 'long', lastStruckStep: 25 }, (recipe) => ({
    ...recipe, stages: recipe.stages.map((stage) => ({ ...stage, steps: LONG_STEPS[stage.kind] ?? stage.steps })),
  }));
}

function write(folder: string, { name, lastStruckStep }: { name: string; lastStruckStep: number }, change: (micro: RecipeFile) => RecipeFile): TrialRecipe {
  const file = join(folder, `${name}.yaml`);
  writeFileSync(file, stringify({ ...change(parse(readFileSync(MICRO, 'utf8')) as RecipeFile), name }, { aliasDuplicateObjects: false }));
  const next = lastStruckStep + 1;
  return { file, run: `${name}-s1-1`, tooLate: new RegExp(`distill\\.${next}\\.|distill (batchClosed|stepCommitted|episodesRequested) ${next}\\b|evaluationFinished distill`) };
}
