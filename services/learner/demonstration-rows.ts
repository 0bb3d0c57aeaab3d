/** The rows of a demonstrations dataset, by shares of domains; a pure function of corpus, recipe and environments. */
import type { DatasetRecipe } from '../../core/recipe/recipe.js';
import type { DatasetRow } from '../../proto/gen/stemma/v1/data.js';
import type { RunContext } from '../runtime/run-context.js';
import { sharesOf } from './shares.js';
import { demonstrationRow } from './demonstrations.js';

type Demonstrations = Extract<DatasetRecipe, { source: 'demonstrations' }>;

export function demonstrationRows(context: RunContext, recipe: Demonstrations): DatasetRow[] {
  return sharesOf(recipe.mixture, recipe.rows).flatMap(({ domain, rows }) => {
    const environment = context.environments[domain];
    return Array.from({ length: rows }, (_, i) =>
      demonstrationRow(environment, context.chat, environment.taskId('train', i, recipe.variants[domain] ?? ''), recipe.style));
  });
}
