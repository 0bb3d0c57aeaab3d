import { Command } from 'commander';
import { loadRecipe } from '../../runtime/recipe-schema.js';
import { assertRunnable } from '../../runtime/runnable.js';
import type { CliDeps } from '../deps.js';
import { seedValue } from '../option-values.js';
import { startRun } from '../start-run.js';

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
  await startRun(deps, { recipe, recipeName, ...options });
}
