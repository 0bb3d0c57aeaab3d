import { StemmaError } from '../../core/errors.js';
import type { Recipe } from '../../core/recipe/recipe.js';

/** UNSUPPORTED for a valid recipe that this version cannot start: better said before anything starts than guessed. */
export function assertRunnable(recipe: Recipe): void {
  const { pretrained } = recipe.model;
  if (pretrained === undefined) return;
  throw new StemmaError('recipe', 'UNSUPPORTED', `recipe ${recipe.name} starts from the pretrained weights ${pretrained}; this version starts from random weights only`,
    'Run `tiny` or `micro`, or leave model.pretrained out and give a model.config of a size that this machine can train from scratch.');
}
