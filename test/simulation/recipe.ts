/** The smallest recipe that has every kind of stage: SFT, RL with a reference model, distillation from one teacher, an evaluation. */
import { stepsAhead } from '../../core/stage/staleness.js';
import type { AHEAD } from './scenario.js';
import type { Asynchrony, Recipe, RlStageRecipe, SftStageRecipe, DistillStageRecipe } from '../../core/recipe/recipe.js';
import { loadRecipe, parseRecipeValue } from '../../services/runtime/recipe-schema.js';

const ASYNCHRONY: { readonly [A in (typeof AHEAD)[number]]: Asynchrony } = {
  asynchronous: { maxStaleness: 1, onStale: 'wait', inFlight: 'between-turns' },
  weight: { maxStaleness: 0, ahead: 2, onStale: 'weight', importanceCap: 2, inFlight: 'between-turns' },
  drop: { maxStaleness: 0, ahead: 1, onStale: 'drop', inFlight: 'between-turns' },
  'inside-turn': { maxStaleness: 1, onStale: 'wait', inFlight: 'inside-turn' },
};

/** `ahead`: how the RL stage, which then has more steps, runs ahead; by default it does not. */
export async function simulatedRecipe(ahead?: (typeof AHEAD)[number]): Promise<Recipe> {
  const micro = await loadRecipe('micro');
  const sft = micro.stages.find((stage): stage is SftStageRecipe => stage.id === 'sft')!;
  const rl = micro.stages.find((stage): stage is RlStageRecipe => stage.id === 'search-rl')!;
  const distill = micro.stages.find((stage): stage is DistillStageRecipe => stage.kind === 'distill')!;
  const asynchronous = ahead === undefined ? {} : { asynchronous: ASYNCHRONY[ahead] };
  const recipe = {
    ...micro,
    name: 'simulated',
    evaluation: { tasksPerDomain: 1 },
    rollout: { shardEpisodes: 3 },
    stages: [
      { ...sft, steps: 4, evaluate: false, batchSize: 2, dataset: { ...sft.dataset, rows: 4, mixture: { search: 1 } } },
      { ...rl, ...asynchronous, steps: 2 + (ahead === undefined ? 0 : stepsAhead(ASYNCHRONY[ahead])), evaluate: false, promptsPerStep: 2, dynamicSampling: { enabled: true, metric: 'reward', maxRounds: 1, overSampling: 1 } },
      { ...distill, steps: 1, evaluate: true, promptsPerDomain: 1 },
    ],
    teachers: { search: 'search-rl', science: 'sft', instruction: 'none', tools: 'none' },
  };
  return parseRecipeValue(recipe, 'the simulated recipe');
}
