/**
 * Activity *types*: services implement them, workflows call them through proxies.
 * Every activity is idempotent: it reads the log first and does only what is not yet a fact.
 * Inputs and results are small JSON; trajectories, batches and weights travel as blob references in events.
 */
import type { StageFigures } from '../core/projection/figures.js';
import type { Asked } from './messages.js';

export interface RunInput {
  readonly recipe: string;
  readonly seed?: number;
  /** Who submitted it. */
  readonly asked?: Asked;
  /** The run is a fork: recipe and seed are then its parent's, whatever is said here. */
  readonly fork?: ForkInput;
}

export interface ForkInput {
  readonly parent: string;
  readonly stage: string;
  /** The last shared step; 0: the start of the stage. */
  readonly step: number;
  /** Of that stage, from the next step on. */
  readonly settings: readonly { readonly path: string; readonly value: unknown }[];
}

export interface StagePlan {
  readonly id: string;
  readonly kind: 'sft' | 'rl' | 'distill';
  readonly domain?: string;
  readonly evaluate: boolean;
  readonly steps: number;
  /** Standing rollouts the stage keeps; 0, or absent in histories of earlier versions: shards are asked for one by one. */
  readonly slots?: number;
  /** How far the log says it is; absent before its first step. */
  readonly reached?: StageReached;
}

/** For people: what the pages of the Temporal UI show of a stage. */
export interface StageReached {
  /** Taken. */
  readonly step: number;
  readonly finished: boolean;
  readonly figures: StageFigures;
}

export interface RunPlan {
  readonly run: string;
  readonly recipe: string;
  readonly seed: number;
  readonly stages: readonly StagePlan[];
  readonly paused: boolean;
  readonly stopped: boolean;
  /** So far; absent in histories of earlier versions. */
  readonly amendments?: readonly AmendedSetting[];
}

export interface AmendedSetting {
  readonly stage: string;
  readonly path: string;
  readonly value: unknown;
  readonly fromStep: number;
}

/** A shard of requested episodes for one rollout activity. */
export interface Shard {
  readonly run: string;
  readonly stage: string;
  readonly step: number;
  readonly round: number;
  /** Indices into EpisodesRequested.episodes: [from, to). */
  readonly from: number;
  readonly to: number;
}

/** A standing rollout: of every round the stage requests, the shards whose index is `slot` modulo `slots`. */
export interface Standing extends StageRef {
  readonly slot: number;
  readonly slots: number;
}

export interface ShardResult {
  readonly finished: number;
  /** The sampler lacks the weights and no blob names them: the stage's next advance restores them. */
  readonly weightsMissing: boolean;
}

/** What the stage needs next. */
export type StageNeeds = (
  | { readonly kind: 'rollouts'; readonly step: number; readonly shards: readonly Shard[] }
  | { readonly kind: 'advance'; readonly step: number }
  | { readonly kind: 'done'; readonly step: number }
) & {
  /** Of the newest step that this advance took; absent where it took none, and in histories of earlier versions. */
  readonly figures?: StageFigures;
};

export interface StageRef {
  readonly run: string;
  readonly stage: string;
}

export type ControlAction = 'pause' | 'resume' | 'stop' | 'amend';

export interface ControlFact {
  readonly run: string;
  readonly updateId: string;
  readonly action: ControlAction;
  readonly by: string;
  /** Absent in histories of earlier versions, as is the seal. */
  readonly origin?: string;
  readonly seal?: string;
  readonly stage?: string;
  readonly path?: string;
  readonly value?: unknown;
}

/** Task queue `stemma-worker`: facts of the run, no computing. */
export interface RunActivities {
  startStage(ref: StageRef): Promise<void>;
  finishStage(ref: StageRef): Promise<void>;
  /** Appends the control fact; returns the step from which it holds. */
  recordControl(fact: ControlFact): Promise<{ readonly effectiveStep: number }>;
  finishRun(run: string): Promise<{ readonly weightsHash: string }>;
  stopRun(run: string, reason: string): Promise<void>;
  /** `cause` is absent in histories of earlier versions. */
  failRun(run: string, message: string, cause?: FailureCause): Promise<void>;
}

/** What failed: an error's code and the boundary it crossed (core/errors.ts), or what Temporal calls it. */
export interface FailureCause {
  readonly code: string;
  readonly boundary: string;
}

/** Task queue `stemma-learner`. */
export interface LearnerActivities {
  /** Creates the run's log and manifest, or reads them back. Here, for the tokenizer and the base weights are computed. */
  openRun(run: string, input: RunInput): Promise<RunPlan>;
  /** Prepares data, closes and learns many batches (until someone steers the run or 30 s are over), and says what is needed next. */
  advanceSft(ref: StageRef): Promise<StageNeeds>;
  /** One step, then the rollouts it needs. `standing`: rollouts run beside it, so it waits for them and goes on, as long as SFT would. */
  advanceRl(ref: StageRef, standing?: boolean): Promise<StageNeeds>;
  /** Greedy episodes on held-out tasks of every domain; done once EvaluationFinished is recorded. */
  advanceEvaluation(ref: StageRef): Promise<StageNeeds>;
}

/** Task queue `stemma-distiller`. */
export interface DistillerActivities {
  advanceDistill(ref: StageRef, standing?: boolean): Promise<StageNeeds>;
}

/** Task queue `stemma-rollout`. */
export interface RolloutActivities {
  rolloutShard(shard: Shard): Promise<ShardResult>;
  /** Runs its shards of each round as it is requested, for a minute or until the stage has taken its steps. */
  standRollouts(standing: Standing): Promise<{ readonly over: boolean }>;
}
