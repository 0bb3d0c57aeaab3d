/** What only the environments know about a recipe: their settings, and which variants of tasks they make. */
import type { Domain } from '../../core/environment.js';
import { StemmaError } from '../../core/errors.js';
import { problemOf } from '../../core/recipe/problems.js';
import type { Problem } from '../../core/recipe/problems.js';
import type { Recipe, StageRecipe } from '../../core/recipe/recipe.js';
import { createEnvironments } from '../../environments/registry.js';
import type { Environments } from '../../environments/registry.js';

/** Settings first: variants depend on the mixtures that settings define. */
export function environmentProblems(recipe: Recipe): Problem[] {
  let environments: Environments;
  try {
    environments = createEnvironments(recipe.environments);
  } catch (error) {
    if (error instanceof StemmaError && error.boundary === 'recipe') return error.message.split('\n').map(problemOf);
    throw error;
  }
  return recipe.stages.flatMap((stage, index) =>
    variantsOf(stage, `stages[${index}]`).flatMap(({ domain, variant, path }) => variantProblem(environments, domain, variant, path)));
}

interface VariantMention {
  readonly domain: Domain;
  readonly variant: string;
  readonly path: string;
}

function variantsOf(stage: StageRecipe, path: string): VariantMention[] {
  if (stage.kind === 'rl') return [{ domain: stage.domain, variant: stage.variant, path: `${path}.variant` }];
  if (stage.kind === 'distill') return byDomain(stage.variants, `${path}.variants`);
  const { dataset } = stage;
  if (dataset.source === 'self-sampled') return [{ domain: dataset.domain, variant: dataset.variant, path: `${path}.dataset.variant` }];
  return byDomain(dataset.variants, `${path}.dataset.variants`);
}

function byDomain(variants: { readonly [D in Domain]?: string }, path: string): VariantMention[] {
  return (Object.entries(variants) as [Domain, string][]).map(([domain, variant]) => ({ domain, variant, path: `${path}.${domain}` }));
}

function variantProblem(environments: Environments, domain: Domain, variant: string, path: string): Problem[] {
  try {
    environments[domain].taskId('train', 0, variant);
    return [];
  } catch (error) {
    if (error instanceof StemmaError) return [{ path, reason: error.message }];
    throw error;
  }
}
