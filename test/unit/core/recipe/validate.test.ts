import { beforeAll, describe, expect, it } from 'vitest';
import type { Recipe } from '../../../../core/recipe/recipe.js';
import { recipeNotes, recipeProblems } from '../../../../core/recipe/validate.js';
import { loadRecipe } from '../../../../services/runtime/recipe-schema.js';

let micro: Recipe;
beforeAll(async () => { micro = await loadRecipe('micro'); });

type Changes = { readonly [path: string]: unknown };

/** Sets values at paths like 'stages.8.sva.topK' in a copy of micro. */
function changed(changes: Changes): Recipe {
  const draft: unknown = structuredClone(micro);
  for (const [path, value] of Object.entries(changes)) {
    const keys = path.split('.');
    const last = keys.pop() ?? '';
    const parent = keys.reduce((node, key) => (node as { [key: string]: unknown })[key], draft) as { [key: string]: unknown };
    parent[last] = structuredClone(value);
  }
  return draft as Recipe;
}

/** The optimizer and the packing are one object for every stage in recipes/micro.yaml: change them whole. */
const longWarmup = { learningRate: 1e-3, schedule: 'constant', warmupSteps: 9, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0, maxGradientNorm: 1 };

describe('recipeProblems', () => {
  it('has nothing to say about micro', () => {
    expect(recipeProblems(micro)).toEqual([]);
  });

  it.each<[string, Changes, string, RegExp]>([
    ['a turn as long as the context', { 'budgets.search.maxTurnTokens': 384 }, 'budgets.search.maxTurnTokens', /no room for a prompt/],
    ['a context beyond the model', { 'budgets.tools.maxContextTokens': 450, 'model.config.max_position_embeddings': 400 }, 'budgets.tools.maxContextTokens', /max_position_embeddings \(400\)/],
    ['a vocabulary beyond the model', { 'model.config.vocab_size': 300 }, 'model.config.vocab_size', /below tokenizer/],
    ['heads that do not divide', { 'model.config.num_key_value_heads': 3 }, 'model.config.num_key_value_heads', /does not divide/],
    ['rows that cannot hold an episode', { 'stages.1.packing': { rowTokens: 100, rowsPerMicroBatch: 1 } }, 'stages[1].packing.rowTokens', /cannot hold one search episode/],
    ['a warm-up longer than the stage', { 'stages.1.optimizer': longWarmup }, 'stages[1].optimizer.warmupSteps', /exceeds steps/],
    ['shares that do not add up', { 'stages.0.dataset.mixture.search': 0.5 }, 'stages[0].dataset.mixture', /add up to 1.25/],
    ['a variant of a domain without share', { 'stages.6.dataset.variants': { search: '1-hop' } }, 'stages[6].dataset.variants.search', /no share/],
    ['rows that do not fill a batch', { 'stages.0.dataset.rows': 3 }, 'stages[0].dataset.rows', /do not fill/],
    ['outcome filtering before an asymmetric advantage', { 'stages.7.dynamicSampling': { enabled: true, metric: 'correct', maxRounds: 1 } }, 'stages[7].dynamicSampling', /all-wrong groups/],
    ['a hard set larger than its candidates', { 'stages.7.tasks.size': 9 }, 'stages[7].tasks.size', /8 candidates/],
    ['more prompts than the hard set', { 'stages.7.promptsPerStep': 5 }, 'stages[7].promptsPerStep', /hard set of 4/],
    ['rollouts ahead of the bound', { 'stages.1.asynchronous': { maxStaleness: 1, ahead: 2, onStale: 'wait', inFlight: 'between-turns' } }, 'stages[1].asynchronous.ahead', /staler than maxStaleness \(1\)/],
    ['asynchrony that asks for nothing ahead', { 'stages.1.asynchronous': { maxStaleness: 0, onStale: 'wait', inFlight: 'between-turns' } }, 'stages[1].asynchronous.maxStaleness', /leave `asynchronous` out/],
    ['dropping what is never stale', { 'stages.1.asynchronous': { maxStaleness: 1, onStale: 'drop', inFlight: 'between-turns' } }, 'stages[1].asynchronous.onStale', /no sample can be staler/],
    ['a cap that caps nothing', { 'stages.1.asynchronous': { maxStaleness: 1, onStale: 'wait', importanceCap: 2, inFlight: 'between-turns' } }, 'stages[1].asynchronous.importanceCap', /weights nothing/],
    ['dropping in distillation', { 'stages.8.asynchronous': { maxStaleness: 1, ahead: 2, onStale: 'drop', inFlight: 'between-turns' } }, 'stages[8].asynchronous.onStale', /only wait/],
    ['more members wanted than prompts', { 'stages.8.minMembersPerDomain': 4 }, 'stages[8].minMembersPerDomain', /every step would block/],
    ['a top k beyond the vocabulary', { 'stages.8.sva.topK': 513 }, 'stages[8].sva.topK', /vocabularySize \(512\)/],
    ['nobody who teaches', { 'teachers': { search: 'none', science: 'none', instruction: 'none', tools: 'none' } }, 'teachers', /nothing to distil/],
    ['a variant of a domain left out', { 'teachers.tools': 'none', 'stages.8.variants': { tools: '1-call' } }, 'stages[8].variants.tools', /left out of distillation/],
    ['a reward that ranks wrong above right', { 'rewards.search.correct': 0.3 }, 'rewards.search', /must exceed/],
  ])('finds %s', (_, change, path, reason) => {
    expect(recipeProblems(changed(change))).toEqual([{ path, reason: expect.stringMatching(reason) as string }]);
  });

  it('finds several at once', () => {
    expect(recipeProblems(changed({ 'budgets.search.maxTurnTokens': 384, 'stages.8.sva.topK': 513 }))).toHaveLength(2);
  });
});

describe('recipeNotes', () => {
  it('names the domains without a teacher', () => {
    expect(recipeNotes(micro)).toEqual([]);
    expect(recipeNotes(changed({ 'teachers.tools': 'none' }))).toEqual(['tools has no teacher: it is left out of distillation']);
  });
});
