/**
 * One planner's hold on a stage: the claimed stage stream, the run's state and the settings that hold now.
 * A session is taken out of the cache while in use, so that a second activity for the same stage
 * (a retry beside a hung first attempt) makes its own claim and thereby fences the first.
 */
import { StemmaError } from '../../core/errors.js';
import { runStream, stageStream } from '../../core/log/keys.js';
import type { BlobStore, Trainer } from '../../core/ports.js';
import type { StageFigures } from '../../core/projection/figures.js';
import type { StageRecipe } from '../../core/recipe/recipe.js';
import { stageAt } from '../../core/run/amend.js';
import { runFold, type RunState } from '../../core/run/run.js';
import { stageFold, type StageState } from '../../core/stage/stage.js';
import type { ModelState } from '../../proto/gen/stemma/v1/events.js';
import type { StageNeeds, StageRef } from '../../workflows/activities.js';
import { claimStream, type ClaimedStream } from '../runtime/claimed-stream.js';
import { bindLogger, type Logger } from '../runtime/logger.js';
import { readFold } from '../runtime/record-fact.js';
import type { RunContext, RunContexts } from '../runtime/run-context.js';
import type { TrainingMetrics } from './metrics.js';
import type { Stopwatch } from './stopwatch.js';

/**
 * Where the samplers are: in the trainer's own sidecar, which serves its current weights, or in other processes, which load
 * published ones. A matter of deployment, never of the recipe: the numbers are the same.
 */
export type Samplers = 'beside-trainer' | 'elsewhere';

export interface TrainingDeps {
  readonly contexts: RunContexts;
  readonly blobs: BlobStore;
  readonly trainer: Trainer;
  readonly samplers: Samplers;
  readonly stopwatch: Stopwatch;
  readonly metrics: TrainingMetrics;
  readonly logger: Logger;
  /** For people: service, host, process id. */
  readonly holder: string;
  readonly nowMs: () => number;
  /** Of the activity that is running. */
  readonly cancellation: () => AbortSignal;
}

export interface StageSession {
  readonly ref: StageRef;
  readonly context: RunContext;
  readonly run: RunState;
  readonly stage: ClaimedStream<StageState>;
  /** As written in the recipe; `recipeAt` applies amendments. */
  readonly recipe: StageRecipe;
  readonly parent: ModelState;
  /** Its lines carry run and stage. */
  readonly logger: Logger;
  recipeAt<S extends StageRecipe>(recipe: S, step: number): S;
  /** Of the newest step or evaluation that this activity recorded, for people: goes back with what the stage needs. */
  figures: StageFigures | undefined;
}

const idle = new WeakMap<RunContexts, Map<string, ClaimedStream<StageState>>>();

export async function withStageSession(deps: TrainingDeps, ref: StageRef, work: (session: StageSession) => Promise<StageNeeds>): Promise<StageNeeds> {
  deps.stopwatch.start(`${ref.run}/${ref.stage}`);
  const context = await deps.contexts.get(ref.run);
  const run = await readRun(context);
  const recipe = context.recipe.stages.find((s) => s.id === ref.stage);
  const parent = run.stages.get(ref.stage)?.started.parent;
  if (!recipe || !parent) {
    throw new StemmaError('log', 'NOT_FOUND', `stage ${ref.stage} of run ${ref.run} has not been started`, 'Start the stage first.');
  }
  const cache = idle.get(deps.contexts) ?? new Map<string, ClaimedStream<StageState>>();
  idle.set(deps.contexts, cache);
  const stage = await takeClaim(deps, context, ref, cache);
  const session: StageSession = {
    ref, context, run, stage, recipe, parent, logger: bindLogger(deps.logger, ref), figures: undefined,
    recipeAt: (r, step) => stageAt(r, step, run.amendments),
  };
  const result = await work(session);
  // A claim that was given up may land late, and then what was recorded since does not count: only what counts is reported.
  await stage.assertHeld();
  cache.set(cacheKey(ref), stage);
  return session.figures ? { ...result, figures: session.figures } : result;
}

async function takeClaim(
  deps: TrainingDeps, context: RunContext, ref: StageRef, cache: Map<string, ClaimedStream<StageState>>,
): Promise<ClaimedStream<StageState>> {
  const known = cache.get(cacheKey(ref));
  cache.delete(cacheKey(ref));
  if (known) {
    try {
      await known.assertHeld();
      return known;
    } catch (error) {
      if (!(error instanceof StemmaError && error.code === 'CLAIM_LOST')) throw error;
    }
  }
  const stream = stageStream(ref.run, ref.stage);
  return claimStream(context.log, { stream, role: 'planner', holder: deps.holder, run: ref.run }, stageFold);
}

function cacheKey(ref: StageRef): string {
  return `${ref.run}\n${ref.stage}`;
}

export async function readRun(context: RunContext): Promise<RunState> {
  return (await readFold(context.log, runStream(context.run), runFold)).state;
}
