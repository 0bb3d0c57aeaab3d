import { Command, Option } from 'commander';
import { loadRecipe } from '../../runtime/recipe-schema.js';
import type { CliDeps } from '../deps.js';
import { Exit } from '../failure.js';
import { seedValue } from '../option-values.js';
import { runHere } from '../run-here.js';

interface Options {
  readonly recipe: string;
  readonly seed: number;
  readonly fresh: boolean;
  readonly json: boolean;
}

export function quickstartCommand(deps: CliDeps): Command {
  return new Command('quickstart')
    .description('train a tiny model through the whole recipe on this machine; started again, it goes on from where it was')
    .addOption(new Option('--recipe <name>', 'what to run').choices(['micro', 'tiny']).default('tiny'))
    .option('--seed <n>', 'the recipe seed', seedValue, 1)
    .option('--fresh', 'start a new run, whatever is unfinished', false)
    .option('--json', 'progress on stderr, one JSON line on stdout at the end', false)
    .action((options: Options) => quickstart(deps, options));
}

async function quickstart(deps: CliDeps, options: Options): Promise<void> {
  const recipe = await loadRecipe(options.recipe);
  const code = await runHere(deps, { recipe, recipeName: options.recipe, seed: options.seed, fresh: options.fresh, json: options.json });
  if (code !== 0) throw new Exit(code);
}
