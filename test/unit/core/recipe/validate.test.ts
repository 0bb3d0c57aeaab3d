import { beforeAll, describe, expect, it } from 'vitest';
import type { Recipe } from '../../../../core/recipe/recipe.js';
import { recipeNotes, recipeProblems } from '../../../../core/recipe/validate.js';
import { loadRecipe } from '../../../../services/runtime/recipe-schema.js';

type Draft = { -readonly [K in keyof Recipe]: any };

let micro: Recipe;
beforeAll(async () => { micro = await loadRecipe('micro'); });

function changed(change: (draft: Draft) => void): Recipe {
  const draft = structuredClone(micro) as Draft;
  change(draft);
  return draft as Recipe;
}

const stage = (draft: Draft, id: string) => (draft.stages as { id: string; [key: string]: any }[]).find((each) => each.id === id) as { [key: string]: any };

describe('recipeProblems', () => {
  it('has nothing to say about micro', () => {
    expect(recipeProblems(micro)).toEqual([]);
  });

  it.each<[string, (draft: Draft) => void, string, RegExp]>([
    ['a turn as long as the context', (d) => { d.budgets.search.maxTurnTokens = 384; }, 'budgets.search.maxTurnTokens', /no room for a prompt/],
    ['a context beyond the model', (d) => { d.budgets.tools.maxContextTokens = 450; d.model.config.max_position_embeddings = 400; }, 'budgets.tools.maxContextTokens', /max_position_embeddings \(400\)/],
    ['a vocabulary beyond the model', (d) => { d.model.config.vocab_size = 300; }, 'model.config.vocab_size', /below tokenizer/],
    ['heads that do not divide', (d) => { d.model.config.num_key_value_heads = 3; }, 'model.config.num_key_value_heads', /does not divide/],
    ['rows that cannot hold an episode', (d) => { stage(d, 'search-rl').packing = { rowTokens: 100, rowsPerMicroBatch: 1 }; }, 'stages[1].packing.rowTokens', /cannot hold one search episode/],
    ['a warm-up longer than the stage', (d) => { stage(d, 'search-rl').optimizer = { ...stage(d, 'sft').optimizer, warmupSteps: 9 }; }, 'stages[1].optimizer.warmupSteps', /exceeds steps/],
    ['shares that do not add up', (d) => { stage(d, 'sft').dataset.mixture.search = 0.5; }, 'stages[0].dataset.mixture', /add up to 1.25/],
    ['a variant of a domain without share', (d) => { stage(d, 'tools-sft').dataset.variants = { search: '1-hop' }; }, 'stages[6].dataset.variants.search', /no share/],
    ['rows that do not fill a batch', (d) => { stage(d, 'sft').dataset.rows = 3; }, 'stages[0].dataset.rows', /do not fill/],
    ['outcome filtering before an asymmetric advantage', (d) => { stage(d, 'tools-rl').dynamicSampling = { enabled: true, metric: 'correct', maxRounds: 1 }; }, 'stages[7].dynamicSampling', /all-wrong groups/],
    ['a hard set larger than its candidates', (d) => { stage(d, 'tools-rl').tasks.size = 9; }, 'stages[7].tasks.size', /8 candidates/],
    ['more prompts than the hard set', (d) => { stage(d, 'tools-rl').promptsPerStep = 5; }, 'stages[7].promptsPerStep', /hard set of 4/],
    ['more members wanted than prompts', (d) => { stage(d, 'distill').minMembersPerDomain = 4; }, 'stages[8].minMembersPerDomain', /every step would block/],
    ['a top k beyond the vocabulary', (d) => { stage(d, 'distill').sva.topK = 513; }, 'stages[8].sva.topK', /vocabularySize \(512\)/],
    ['nobody who teaches', (d) => { d.teachers = { search: 'none', science: 'none', instruction: 'none', tools: 'none' }; }, 'teachers', /nothing to distil/],
    ['a variant of a domain left out', (d) => { d.teachers.tools = 'none'; stage(d, 'distill').variants = { tools: '1-call' }; }, 'stages[8].variants.tools', /left out of distillation/],
    ['a reward that ranks wrong above right', (d) => { d.rewards.search.correct = 0.3; }, 'rewards.search', /must exceed/],
  ])('finds %s', (_, change, path, reason) => {
    expect(recipeProblems(changed(change))).toEqual([{ path, reason: expect.stringMatching(reason) as string }]);
  });

  it('finds several at once', () => {
    expect(recipeProblems(changed((d) => { d.budgets.search.maxTurnTokens = 384; stage(d, 'distill').sva.topK = 513; }))).toHaveLength(2);
  });
});

describe('recipeNotes', () => {
  it('names the domains without a teacher', () => {
    expect(recipeNotes(micro)).toEqual([]);
    expect(recipeNotes(changed((d) => { d.teachers.tools = 'none'; }))).toEqual(['tools has no teacher: it is left out of distillation']);
  });
});
