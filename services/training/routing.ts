/** Which weights score an episode: routing is data in the recipe, never a silent default. */
import type { Domain } from '../../core/environment.js';
import { StemmaError } from '../../core/errors.js';
import type { DistillStageRecipe } from '../../core/recipe/recipe.js';
import { stageAt } from '../../core/run/amend.js';
import type { BlobRef, ModelState } from '../../proto/gen/stemma/v1/events.js';
import type { RunContexts } from '../runtime/run-context.js';
import { readRun } from './session.js';

export interface ScorerRoute {
  readonly weightsHash: string;
  readonly weights: BlobRef;
  /** 0: given-token log-probabilities. */
  readonly topK: number;
}

export interface RouteQuery {
  readonly run: string;
  readonly stage: string;
  readonly purpose: 'teacher' | 'reference';
  readonly domain: Domain;
  readonly step: number;
}

export type RouteScorer = (query: RouteQuery) => Promise<ScorerRoute | 'none'>;

/** Teacher: the result of the stage that the recipe's table names for the domain. Reference: the stage's KL reference. */
export function createRouter(contexts: RunContexts): RouteScorer {
  return async ({ run, stage, purpose, domain, step }) => {
    const context = await contexts.get(run);
    const recipe = context.recipe.stages.find((s) => s.id === stage);
    const state = await readRun(context);
    const resultOf = (id: string): ModelState | undefined => (id === 'base' ? context.base : state.stages.get(id)?.result);
    if (purpose === 'reference' && recipe?.kind === 'rl') return route(resultOf(recipe.reference), recipe.reference, 0);
    if (purpose === 'teacher' && recipe?.kind === 'distill') {
      const teacher = context.recipe.teachers[domain];
      return teacher === 'none' ? 'none' : route(resultOf(teacher), teacher, stageAt<DistillStageRecipe>(recipe, step, state.amendments).sva.topK);
    }
    throw new StemmaError('scorer', 'INVALID', `stage ${stage} asks for no ${purpose} scores`, 'Route only distillation to teachers and RL to its reference.');
  };
}

function route(model: ModelState | undefined, stage: string, topK: number): ScorerRoute {
  if (!model?.weights) {
    throw new StemmaError('scorer', 'NOT_FOUND', `stage ${stage} has no result to score with`, 'Finish that stage before the one that needs its scores.');
  }
  return { weightsHash: model.weightsHash, weights: model.weights, topK };
}
