/** The smallest recipe that has every kind of stage: SFT, RL with a reference model, distillation from one teacher, an evaluation. */
import type { Recipe, RlStageRecipe, SftStageRecipe, DistillStageRecipe } from '../../core/recipe/recipe.js';
import { loadRecipe, parseRecipeValue } from '../../services/runtime/recipe-schema.js';

export async function simulatedRecipe(): Promise<Recipe> {
  const micro = await loadRecipe('micro');
  const sft = micro.stages.find((stage): stage is SftStageRecipe => stage.id === 'sft')!;
  const rl = micro.stages.find((stage): stage is RlStageRecipe => stage.id === 'search-rl')!;
  const distill = micro.stages.find((stage): stage is DistillStageRecipe => stage.kind === 'distill')!;
  const recipe = {
    ...micro,
    name: 'simulated',
    evaluation: { tasksPerDomain: 1 },
    rollout: { shardEpisodes: 3 },
    stages: [
      { ...sft, steps: 2, evaluate: false, batchSize: 2, dataset: { ...sft.dataset, rows: 4, mixture: { search: 1 } } },
      { ...rl, steps: 2, evaluate: false, promptsPerStep: 2, dynamicSampling: { enabled: true, metric: 'reward', maxRounds: 1 } },
      { ...distill, steps: 1, evaluate: true, promptsPerDomain: 1 },
    ],
    teachers: { search: 'search-rl', science: 'sft', instruction: 'none', tools: 'none' },
  };
  parseRecipeValue(recipe, 'the simulated recipe');
  return recipe as Recipe;
}
