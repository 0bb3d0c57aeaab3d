/** What a run is made of, as data. The zod schema (services/runtime/recipe-schema.ts) parses into these types. */
import type { Domain, Json } from '../environment.js';

export interface Recipe {
  readonly name: string;
  readonly description: string;
  readonly model: {
    /** Fields of a Hugging Face config. */
    readonly config: { readonly [key: string]: Json };
    /** Model id or directory whose weights and tokenizer are 'base'; absent: random weights from config and seed. */
    readonly pretrained?: string;
  };
  readonly tokenizer: { readonly vocabularySize: number };
  /** Per domain: difficulty and corpus parameters, read by environments/<domain>. */
  readonly environments: { readonly [D in Domain]: { readonly [key: string]: Json } };
  readonly budgets: { readonly [D in Domain]: Budget };
  readonly rewards: Rewards;
  readonly evaluation: { readonly tasksPerDomain: number };
  readonly rollout: { readonly shardEpisodes: number };
  readonly snapshots: { readonly everySteps: number };
  readonly stages: readonly StageRecipe[];
  /** Domain → stage whose result teaches it, or 'none': left out of distillation, and reported. */
  readonly teachers: { readonly [D in Domain]: string };
}

/** Token and turn budgets; reaching one ends an episode TRUNCATED. Never wall-clock. */
export interface Budget {
  readonly maxTurns: number;
  readonly maxTurnTokens: number;
  readonly maxContextTokens: number;
}

export interface Rewards {
  /** w_c·correct − min(c_eff, α·max(0, rounds−K)) − min(c_rep, β·repeats in window W) + w_f·format. */
  readonly search: {
    readonly correct: number; readonly format: number;
    readonly freeRounds: number; readonly perExtraRound: number; readonly efficiencyCap: number;
    readonly repeatWindow: number; readonly perRepeat: number; readonly repetitionCap: number;
  };
  readonly science: { readonly correct: number; readonly format: number };
  readonly instruction: { readonly grading: 'binary' | 'fraction'; readonly format: number };
  readonly tools: { readonly correct: number };
}

export interface OptimizerRecipe {
  readonly learningRate: number;
  readonly schedule: 'constant' | 'cosine';
  readonly warmupSteps: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** 0 is off. */
  readonly maxGradientNorm: number;
}

export interface PackingRecipe {
  /** Tokens a packed row holds at most. */
  readonly rowTokens: number;
  readonly rowsPerMicroBatch: number;
}

interface StageCommon {
  readonly id: string;
  /** 'base' or an earlier stage's id. */
  readonly init: string;
  readonly steps: number;
  readonly optimizer: OptimizerRecipe;
  readonly packing: PackingRecipe;
  /** Evaluate the result on every domain. */
  readonly evaluate: boolean;
}

/** Rollouts run ahead of the learner (docs/decisions/asynchronous.md). Without it a stage is synchronous: each sample is of the weights it trains. */
export interface Asynchrony {
  /** Steps that the weights behind a turn may lag behind those its sample trains. */
  readonly maxStaleness: number;
  /** Steps asked for beyond the one learned next; by default maxStaleness. */
  readonly ahead?: number | undefined;
  /**
   * wait: no step is asked for before its samples can keep the bound. Of staler ones, where `ahead` is larger —
   * weight: truncated importance weights for their stale tokens, in the place of clipping; drop: the episode is dropped and its prompt asked for again.
   */
  readonly onStale: 'wait' | 'weight' | 'drop';
  /** C of min(ρ, C), with 'weight' alone; by default IMPORTANCE_CAP of core/loss/policy-gradient.ts. */
  readonly importanceCap?: number | undefined;
  /** When an episode in flight takes new weights; inside-turn: at the next token, its context computed anew. */
  readonly inFlight: 'between-turns' | 'inside-turn';
}

export type DatasetRecipe =
  | {
      /** Expert trajectories made by code, in shares by domain. */
      readonly source: 'demonstrations';
      readonly rows: number;
      readonly mixture: { readonly [D in Domain]?: number };
      readonly variants: { readonly [D in Domain]?: string };
      readonly style: string;
    }
  | {
      /** The model's own verified-correct trajectories (rejection sampling). */
      readonly source: 'self-sampled';
      readonly domain: Domain;
      readonly model: string;
      readonly tasks: number;
      readonly samplesPerTask: number;
      readonly variant: string;
      readonly protocol: string;
      readonly temperature: number;
    };

export interface SftStageRecipe extends StageCommon {
  readonly kind: 'sft';
  readonly dataset: DatasetRecipe;
  readonly batchSize: number;
  readonly aggregation: Aggregation;
}

export type Aggregation = 'seq-mean-token-mean' | 'token-mean';

export interface RlStageRecipe extends StageCommon {
  readonly kind: 'rl';
  readonly domain: Domain;
  readonly variant: string;
  readonly asynchronous?: Asynchrony | undefined;
  readonly tasks:
    | { readonly source: 'split' }
    /** Near misses of the initial model: wrong outcome, at least the share minRubrics of the rubrics; reused across rounds. */
    | { readonly source: 'hard-set'; readonly size: number; readonly candidates: number; readonly samplesPerTask: number; readonly minRubrics: number };
  readonly promptsPerStep: number;
  readonly samplesPerPrompt: number;
  readonly temperature: number;
  readonly advantage: { readonly kind: 'grpo'; readonly normalizeByStd: boolean } | { readonly kind: 'asymmetric'; readonly lambdaNegative: number };
  readonly aggregation: Aggregation;
  readonly clipLow: number;
  readonly clipHigh: number;
  readonly klCoefficient: number;
  readonly entropyCoefficient: number;
  /** Stage whose result is the reference model of the KL term. */
  readonly reference: string;
  /**
   * Groups with a uniform metric are left out. The first round asks for ⌈overSampling · promptsPerStep⌉ prompts, and where too few
   * groups of it are informative, at most maxRounds more ask for what is missing.
   */
  readonly dynamicSampling: {
    readonly enabled: boolean; readonly metric: 'correct' | 'reward';
    readonly overSampling: number; readonly maxRounds: number;
  };
}

export interface DistillStageRecipe extends StageCommon {
  readonly kind: 'distill';
  readonly asynchronous?: Asynchrony | undefined;
  readonly promptsPerDomain: number;
  readonly minMembersPerDomain: number;
  readonly variants: { readonly [D in Domain]?: string };
  readonly rolloutTemperature: number;
  readonly sva: { readonly topK: number; readonly temperature: number };
}

export type StageRecipe = SftStageRecipe | RlStageRecipe | DistillStageRecipe;

/** Undefined where the stage is synchronous, as SFT always is. */
export function asynchronyOf(stage: StageRecipe | undefined): Asynchrony | undefined {
  return stage === undefined || stage.kind === 'sft' ? undefined : stage.asynchronous;
}
