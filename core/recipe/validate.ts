/**
 * What types cannot say about a recipe: numbers that must agree with each other.
 * Pure; the schema (services/runtime/recipe-schema.ts) checks shapes and single values, this file everything across fields.
 */
import { DOMAINS } from '../environment.js';
import type { Domain } from '../environment.js';
import { rewardOrderingProblems } from '../reward/reward.js';
import { problemOf } from './problems.js';
import type { Problem } from './problems.js';
import { stepsAhead } from '../stage/staleness.js';
import type { Asynchrony, DistillStageRecipe, Recipe, RlStageRecipe, SftStageRecipe, StageRecipe } from './recipe.js';
import { NO_TEACHER } from './references.js';

/** Shares are written by hand with two or three decimals. */
const SHARE_TOLERANCE = 1e-3;

/** Domains whose episodes a stage packs into rows. */
function stageDomains(recipe: Recipe, stage: StageRecipe): readonly Domain[] {
  if (stage.kind === 'rl') return [stage.domain];
  if (stage.kind === 'distill') return DOMAINS.filter((domain) => recipe.teachers[domain] !== NO_TEACHER);
  if (stage.dataset.source === 'self-sampled') return [stage.dataset.domain];
  const mixture = stage.dataset.mixture;
  return DOMAINS.filter((domain) => (mixture[domain] ?? 0) > 0);
}

function budgetProblems(recipe: Recipe): Problem[] {
  const positions = recipe.model.config['max_position_embeddings'];
  return DOMAINS.flatMap((domain) => {
    const budget = recipe.budgets[domain];
    const path = `budgets.${domain}`;
    const problems: Problem[] = [];
    if (budget.maxTurnTokens >= budget.maxContextTokens) {
      problems.push({ path: `${path}.maxTurnTokens`, reason: `${budget.maxTurnTokens} leaves no room for a prompt in maxContextTokens (${budget.maxContextTokens})` });
    }
    if (typeof positions === 'number' && budget.maxContextTokens > positions) {
      problems.push({ path: `${path}.maxContextTokens`, reason: `${budget.maxContextTokens} exceeds model.config.max_position_embeddings (${positions})` });
    }
    return problems;
  });
}

function modelProblems(recipe: Recipe): Problem[] {
  const config = recipe.model.config;
  const problems: Problem[] = [];
  const vocabulary = config['vocab_size'];
  if (typeof vocabulary === 'number' && vocabulary < recipe.tokenizer.vocabularySize) {
    problems.push({ path: 'model.config.vocab_size', reason: `${vocabulary} is below tokenizer.vocabularySize (${recipe.tokenizer.vocabularySize})` });
  }
  const heads = config['num_attention_heads'];
  const keyValueHeads = config['num_key_value_heads'];
  if (typeof heads === 'number' && typeof keyValueHeads === 'number' && heads % keyValueHeads !== 0) {
    problems.push({ path: 'model.config.num_key_value_heads', reason: `${keyValueHeads} does not divide num_attention_heads (${heads})` });
  }
  return problems;
}

function commonProblems(recipe: Recipe, stage: StageRecipe, path: string): Problem[] {
  const problems: Problem[] = [];
  if (stage.optimizer.warmupSteps > stage.steps) {
    problems.push({ path: `${path}.optimizer.warmupSteps`, reason: `${stage.optimizer.warmupSteps} exceeds steps (${stage.steps}): the learning rate would never be reached` });
  }
  for (const domain of stageDomains(recipe, stage)) {
    const context = recipe.budgets[domain].maxContextTokens;
    if (stage.packing.rowTokens < context) {
      problems.push({ path: `${path}.packing.rowTokens`, reason: `${stage.packing.rowTokens} cannot hold one ${domain} episode (budgets.${domain}.maxContextTokens is ${context})` });
    }
  }
  return problems;
}

function sftProblems(stage: SftStageRecipe, path: string): Problem[] {
  const dataset = stage.dataset;
  if (dataset.source === 'self-sampled') return [];
  const problems: Problem[] = [];
  const total = DOMAINS.reduce((sum, domain) => sum + (dataset.mixture[domain] ?? 0), 0);
  if (Math.abs(total - 1) > SHARE_TOLERANCE) {
    problems.push({ path: `${path}.dataset.mixture`, reason: `the shares add up to ${Number(total.toFixed(4))}; they must add up to 1` });
  }
  for (const domain of DOMAINS) {
    if (dataset.variants[domain] !== undefined && (dataset.mixture[domain] ?? 0) === 0) {
      problems.push({ path: `${path}.dataset.variants.${domain}`, reason: `${domain} has no share in the mixture` });
    }
  }
  if (dataset.rows < stage.batchSize) {
    problems.push({ path: `${path}.dataset.rows`, reason: `${dataset.rows} rows do not fill one batch of ${stage.batchSize}` });
  }
  return problems;
}

/** Every combination that would do nothing, or something else than it says. */
function asynchronyProblems(asynchrony: Asynchrony | undefined, path: string): Problem[] {
  if (!asynchrony) return [];
  const { maxStaleness, onStale, importanceCap } = asynchrony;
  const ahead = stepsAhead(asynchrony);
  const problems: Problem[] = [];
  if (ahead === 0) problems.push({ path: `${path}.maxStaleness`, reason: 'nothing is asked for ahead: leave `asynchronous` out for synchronous training' });
  else if (onStale === 'wait' && ahead > maxStaleness) problems.push({ path: `${path}.ahead`, reason: `${ahead} steps ahead would make samples staler than maxStaleness (${maxStaleness}): ask less far ahead, or set onStale to weight or drop` });
  else if (onStale !== 'wait' && ahead <= maxStaleness) problems.push({ path: `${path}.onStale`, reason: `no sample can be staler than maxStaleness (${maxStaleness}) at ${ahead} steps ahead: ask further ahead, or use onStale: wait` });
  if (onStale !== 'weight' && importanceCap !== undefined) problems.push({ path: `${path}.importanceCap`, reason: `onStale: ${onStale} weights nothing` });
  if (ahead > 8) problems.push({ path: `${path}.maxStaleness`, reason: 'expected ≤ 8: each is a round in flight' });
  return problems;
}

function rlProblems(stage: RlStageRecipe, path: string): Problem[] {
  const problems = asynchronyProblems(stage.asynchronous, `${path}.asynchronous`);
  const asymmetric = stage.advantage.kind === 'asymmetric';
  if (asymmetric && stage.dynamicSampling.enabled && stage.dynamicSampling.metric === 'correct') {
    problems.push({ path: `${path}.dynamicSampling`, reason: 'dropping groups by outcome would remove the all-wrong groups from which an asymmetric advantage learns; disable it or use metric: reward' });
  }
  if (stage.tasks.source === 'hard-set') {
    const { size, candidates } = stage.tasks;
    if (size > candidates) problems.push({ path: `${path}.tasks.size`, reason: `a hard set of ${size} cannot be chosen from ${candidates} candidates` });
    if (stage.promptsPerStep > size) problems.push({ path: `${path}.promptsPerStep`, reason: `${stage.promptsPerStep} prompts a step exceed the hard set of ${size}` });
  }
  return problems;
}

function distillProblems(recipe: Recipe, stage: DistillStageRecipe, path: string): Problem[] {
  const problems = asynchronyProblems(stage.asynchronous, `${path}.asynchronous`);
  if (stage.asynchronous && stage.asynchronous.onStale !== 'wait') {
    problems.push({ path: `${path}.asynchronous.onStale`, reason: `${stage.asynchronous.onStale} is not built for distillation: only wait` });
  }
  if (stage.minMembersPerDomain > stage.promptsPerDomain) {
    problems.push({ path: `${path}.minMembersPerDomain`, reason: `${stage.minMembersPerDomain} exceeds promptsPerDomain (${stage.promptsPerDomain}): every step would block` });
  }
  if (stage.sva.topK > recipe.tokenizer.vocabularySize) {
    problems.push({ path: `${path}.sva.topK`, reason: `${stage.sva.topK} exceeds tokenizer.vocabularySize (${recipe.tokenizer.vocabularySize})` });
  }
  for (const domain of DOMAINS) {
    if (stage.variants[domain] !== undefined && recipe.teachers[domain] === NO_TEACHER) {
      problems.push({ path: `${path}.variants.${domain}`, reason: `teachers.${domain} is 'none': the domain is left out of distillation` });
    }
  }
  if (DOMAINS.every((domain) => recipe.teachers[domain] === NO_TEACHER)) {
    problems.push({ path: 'teachers', reason: `every domain has the teacher 'none': ${stage.id} would have nothing to distil` });
  }
  return problems;
}

function stageProblems(recipe: Recipe, stage: StageRecipe, path: string): Problem[] {
  const common = commonProblems(recipe, stage, path);
  if (stage.kind === 'sft') return [...common, ...sftProblems(stage, path)];
  if (stage.kind === 'rl') return [...common, ...rlProblems(stage, path)];
  return [...common, ...distillProblems(recipe, stage, path)];
}

/** Every problem across fields of a well-formed recipe. References are checked by referenceProblems. */
export function recipeProblems(recipe: Recipe): Problem[] {
  return [
    ...modelProblems(recipe),
    ...budgetProblems(recipe),
    ...rewardOrderingProblems(recipe.rewards).map(problemOf),
    ...recipe.stages.flatMap((stage, index) => stageProblems(recipe, stage, `stages[${index}]`)),
  ];
}

/** Domains that take no part in distillation, one sentence each: allowed, and said aloud at submit. */
export function recipeNotes(recipe: Recipe): string[] {
  if (!recipe.stages.some((stage) => stage.kind === 'distill')) return [];
  return DOMAINS.filter((domain) => recipe.teachers[domain] === NO_TEACHER)
    .map((domain) => `${domain} has no teacher: it is left out of distillation`);
}
