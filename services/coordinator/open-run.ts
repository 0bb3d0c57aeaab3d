/** The first activity of a run: its log and manifest are made, or read back. */
import { DOMAINS } from '../../core/environment.js';
import { StemmaError } from '../../core/errors.js';
import { runStream, stageStream } from '../../core/log/keys.js';
import type { EventLog, RunLogs } from '../../core/ports.js';
import { evaluationFigures, newestStep, stepFigures } from '../../core/projection/figures.js';
import type { StageRecipe } from '../../core/recipe/recipe.js';
import { runFold, type RunStage } from '../../core/run/run.js';
import type { RunInput, RunPlan, StagePlan } from '../../workflows/activities.js';
import { attributionOf } from '../runtime/access/attribution.js';
import type { Keyring } from '../runtime/access/keyring.js';
import { loadRecipe } from '../runtime/recipe-schema.js';
import { readFold } from '../runtime/record-fact.js';
import type { RunContexts } from '../runtime/run-context.js';
import { assertRunId } from '../runtime/run-id.js';
import { createRun, type CreateRunDeps } from './create-run.js';
import { forkRun, planFork } from './fork-run.js';
import { recordEnd } from './record-end.js';

export interface OpenRunDeps extends CreateRunDeps {
  readonly logs: RunLogs;
  readonly contexts: RunContexts;
  /** Tells what a gateway vouched for. */
  readonly keyring: Pick<Keyring, 'sealSecret'>;
}

const DEFAULT_SEED = 1;

export async function openRun(deps: OpenRunDeps, run: string, input: RunInput): Promise<RunPlan> {
  assertRunId(run, 'gateway');
  // Refused before anything is written: a recipe that is not there leaves no log behind.
  const early = (await deps.logs.list()).includes(run) ? undefined : await planRun(deps, run, input);
  const log = await deps.logs.open(run, 'write');
  const { state } = await readFold(log, runStream(run), runFold);
  if (!state.created) {
    const begin = async (): Promise<void> => (early ?? await planRun(deps, run, input))(log);
    await begin().catch((error: unknown) => settleFailure(deps, run, error));
  }
  const context = await deps.contexts.get(run);
  return {
    run, recipe: context.recipe.name, seed: Number(context.seed), paused: state.paused,
    stopped: state.stopRequested || state.end !== undefined,
    amendments: state.amendments.map(({ stage, path, valueJson, fromStep }) => ({ stage, path, value: JSON.parse(valueJson) as unknown, fromStep })),
    stages: await Promise.all(context.recipe.stages.map(async (stage) => ({
      ...stagePlan(stage, context.recipe.rollout.shardEpisodes), ...await reachedOf(context.log, run, state.stages.get(stage.id)),
    }))),
  };
}

/** Nothing for a stage that has not started, so that a new run reads nothing. */
async function reachedOf(log: EventLog, run: string, stage: RunStage | undefined): Promise<Pick<StagePlan, 'reached'>> {
  if (!stage) return {};
  const { state: { step, stats } } = await readFold(log, stageStream(run, stage.started.stage), newestStep);
  return { reached: { step, finished: stage.result !== undefined, figures: { ...stepFigures(stats), ...evaluationFigures(stage.evaluation?.accuracy ?? []) } } };
}

/** Refuses what can be refused without writing; what it answers writes the run into its log. */
async function planRun(deps: OpenRunDeps, run: string, { recipe, seed, fork, asked = {} }: RunInput): Promise<(log: EventLog) => Promise<void>> {
  const who = attributionOf(deps.keyring.sealSecret(), { run, updateId: '', action: 'submit' }, asked);
  if (fork) {
    const plan = await planFork(deps, fork);
    return (log) => forkRun(deps, log, { run, plan, who });
  }
  const wanted = { run, recipe: await loadRecipe(recipe), seed: BigInt(seed ?? DEFAULT_SEED), who };
  return (log) => createRun(deps, log, wanted);
}

/** A run that cannot even be created ends at once, or whoever watches it would wait for ever. */
async function settleFailure(deps: OpenRunDeps, run: string, error: unknown): Promise<void> {
  // Another attempt was first, by other code perhaps: its manifest is the run's.
  if (error instanceof StemmaError && error.boundary === 'log' && error.code === 'HASH_MISMATCH') return;
  if (error instanceof StemmaError && !error.retriable && !error.mendable) {
    await recordEnd(deps.logs, run, { $case: 'runFailed', value: { code: error.code, boundary: error.boundary, message: error.message } });
  }
  throw error;
}

/** A stage has as many standing rollouts as its first round has shards, and no more than one worker holds. */
const MOST_SLOTS = 32;

function stagePlan(stage: StageRecipe, shardEpisodes: number): StagePlan {
  return {
    id: stage.id, kind: stage.kind, evaluate: stage.evaluate, steps: stage.steps,
    slots: Math.min(MOST_SLOTS, Math.ceil(episodesPerStep(stage) / shardEpisodes)),
    ...(stage.kind === 'rl' ? { domain: stage.domain } : {}),
  };
}

function episodesPerStep(stage: StageRecipe): number {
  switch (stage.kind) {
    case 'sft': return 0;
    case 'rl': return stage.promptsPerStep * stage.samplesPerPrompt * (stage.dynamicSampling.enabled ? stage.dynamicSampling.overSampling : 1);
    case 'distill': return stage.promptsPerDomain * DOMAINS.length;
  }
}
