import { Command } from 'commander';
import type { Recipe } from '../../../core/recipe/recipe.js';
import { recipeNotes } from '../../../core/recipe/validate.js';
import { loadRecipe } from '../../runtime/recipe-schema.js';
import { assertRunnable } from '../../runtime/runnable.js';
import type { CliDeps } from '../deps.js';
import { Exit } from '../failure.js';
import { seedValue } from '../option-values.js';
import type { Controls } from '../platform.js';
import { chooseRun } from '../resume.js';
import { runHere } from '../run-here.js';
import { runningPlatform } from '../running-platform.js';
import { withStores } from '../with-stores.js';

interface Options {
  readonly seed: number;
  readonly fresh: boolean;
  readonly json: boolean;
}

export function runCommand(deps: CliDeps): Command {
  return new Command('run')
    .description('run a recipe: in the platform that `up` has opened, or else in this process')
    .argument('<recipe>', 'a name under recipes/ or the path of a .yaml file')
    .option('--seed <n>', 'the recipe seed', seedValue, 1)
    .option('--fresh', 'start a new run, whatever is unfinished', false)
    .option('--json', 'in this process: progress on stderr, one JSON line on stdout at the end', false)
    .action((recipeName: string, options: Options) => run(deps, recipeName, options));
}

async function run(deps: CliDeps, recipeName: string, options: Options): Promise<void> {
  const recipe = await loadRecipe(recipeName);
  assertRunnable(recipe);
  const controls = await runningPlatform(deps);
  if (controls !== null) return submit(deps, { controls, recipe, recipeName, options });
  const code = await runHere(deps, { recipe, recipeName, ...options });
  if (code !== 0) throw new Exit(code);
}

interface Submission {
  readonly controls: Controls;
  readonly recipe: Recipe;
  readonly recipeName: string;
  readonly options: Options;
}

async function submit(deps: CliDeps, { controls, recipe, recipeName, options }: Submission): Promise<void> {
  try {
    const { run: id } = await withStores(deps, (stores) => chooseRun(stores, recipe, options.seed, options.fresh));
    await controls.submit({ run: id, recipe: recipeName, seed: options.seed });
    for (const note of recipeNotes(recipe)) deps.terminal.say(note);
    deps.terminal.print(id);
    deps.terminal.say(`Submitted. Follow it with: stemma watch ${id}`);
  } finally {
    await controls.close();
  }
}
