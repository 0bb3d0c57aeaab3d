/** The shape of a recipe: strict (an unknown key is an error), single values only; core/recipe/validate.ts checks across fields. */
import { z } from 'zod';
import { DOMAINS } from '../../core/environment.js';
import type { Domain, Json } from '../../core/environment.js';
import type { Recipe } from '../../core/recipe/recipe.js';

const positiveInt = z.int().min(1);
const count = z.int().min(0);
const positive = z.number().gt(0);
const nonNegative = z.number().min(0);
const share = z.number().min(0).max(1);
const name = z.string().regex(/^[a-z][a-z0-9-]*$/, 'expected lower-case letters, digits and hyphens, starting with a letter').max(64);
const domain = z.enum(DOMAINS);
const text = z.string();

const json: z.ZodType<Json> = z.lazy(() =>
  z.union([z.null(), z.boolean(), z.number(), z.string(), z.array(json), z.record(z.string(), json)], { error: 'expected a JSON value' }));
const settings = z.record(z.string(), json);

/** All four domains, none else. */
function perDomain<T extends z.ZodType>(value: T) {
  const entries = DOMAINS.map((each) => [each, value] as const);
  return z.strictObject(Object.fromEntries(entries) as { [D in Domain]: T });
}

function someDomains<T extends z.ZodType>(value: T) {
  return perDomain(value).partial();
}

const teacher = z.string({
  error: (issue) => (issue.input === undefined ? "the domain has no route: name the stage that teaches it, or 'none' to leave it out of distillation" : undefined),
});

const budget = z.strictObject({ maxTurns: positiveInt, maxTurnTokens: positiveInt, maxContextTokens: positiveInt });

const rewards = z.strictObject({
  search: z.strictObject({
    correct: positive, format: nonNegative,
    freeRounds: count, perExtraRound: nonNegative, efficiencyCap: nonNegative,
    repeatWindow: count, perRepeat: nonNegative, repetitionCap: nonNegative,
  }),
  science: z.strictObject({ correct: positive, format: nonNegative }),
  instruction: z.strictObject({ grading: z.enum(['binary', 'fraction']), format: nonNegative }),
  tools: z.strictObject({ correct: positive }),
});

const optimizer = z.strictObject({
  learningRate: positive,
  schedule: z.enum(['constant', 'cosine']),
  warmupSteps: count,
  beta1: z.number().min(0).lt(1),
  beta2: z.number().min(0).lt(1),
  epsilon: positive,
  weightDecay: nonNegative,
  maxGradientNorm: nonNegative,
});

const packing = z.strictObject({ rowTokens: positiveInt, rowsPerMicroBatch: positiveInt });

const stageCommon = { id: name, init: text, steps: positiveInt, optimizer, packing, evaluate: z.boolean() };
const aggregation = z.enum(['seq-mean-token-mean', 'token-mean']);

/** Only what works is accepted; the rest is refused aloud. */
const asynchronous = z.strictObject({
  maxStaleness: count,
  ahead: z.int().min(1).max(8, 'expected ≤ 8: each is a round in flight').optional(),
  onStale: z.enum(['wait', 'weight', 'drop']).default('wait'),
  importanceCap: z.number().min(1, 'expected ≥ 1: below, fresh tokens would be truncated too').optional(),
  inFlight: z.enum(['between-turns', 'inside-turn']).default('between-turns'),
});

const dataset = z.discriminatedUnion('source', [
  z.strictObject({ source: z.literal('demonstrations'), rows: positiveInt, mixture: someDomains(share), variants: someDomains(text), style: text }),
  z.strictObject({
    source: z.literal('self-sampled'), domain, model: text, tasks: positiveInt, samplesPerTask: positiveInt,
    variant: text, protocol: text, temperature: positive,
  }),
]);

const sftStage = z.strictObject({ kind: z.literal('sft'), ...stageCommon, dataset, batchSize: positiveInt, aggregation });

const rlStage = z.strictObject({
  kind: z.literal('rl'), ...stageCommon, domain, variant: text,
  asynchronous: asynchronous.optional(),
  tasks: z.discriminatedUnion('source', [
    z.strictObject({ source: z.literal('split') }),
    z.strictObject({ source: z.literal('hard-set'), size: positiveInt, candidates: positiveInt, samplesPerTask: positiveInt, minRubrics: share }),
  ]),
  promptsPerStep: positiveInt,
  samplesPerPrompt: z.int().min(2, 'expected ≥ 2: an advantage compares the samples of one prompt'),
  temperature: positive,
  advantage: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('grpo'), normalizeByStd: z.boolean() }),
    z.strictObject({ kind: z.literal('asymmetric'), lambdaNegative: nonNegative }),
  ]),
  aggregation,
  clipLow: z.number().gt(0).lt(1),
  clipHigh: positive,
  klCoefficient: nonNegative,
  entropyCoefficient: nonNegative,
  reference: text,
  dynamicSampling: z.strictObject({
    enabled: z.boolean(), metric: z.enum(['correct', 'reward']),
    overSampling: z.number().min(1, 'expected ≥ 1: the prompts of a step, and more').max(16).default(1), maxRounds: count,
  }),
});

const distillStage = z.strictObject({
  kind: z.literal('distill'), ...stageCommon,
  asynchronous: asynchronous.optional(),
  promptsPerDomain: positiveInt,
  minMembersPerDomain: positiveInt,
  variants: someDomains(text),
  rolloutTemperature: positive,
  sva: z.strictObject({ topK: z.int().min(2, 'expected ≥ 2: renormalised on one token, student and teacher are always equal'), temperature: positive }),
});

export const recipeShape: z.ZodType<Recipe> = z.strictObject({
  name,
  description: text,
  model: z.strictObject({ config: settings, pretrained: z.string().min(1).optional() }),
  tokenizer: z.strictObject({ vocabularySize: z.int().min(2) }),
  environments: perDomain(settings),
  budgets: perDomain(budget),
  rewards,
  evaluation: z.strictObject({ tasksPerDomain: positiveInt }),
  rollout: z.strictObject({ shardEpisodes: positiveInt }),
  snapshots: z.strictObject({ everySteps: positiveInt }),
  stages: z.array(z.discriminatedUnion('kind', [sftStage, rlStage, distillStage])).min(1, 'expected at least one stage'),
  teachers: perDomain(teacher),
});
