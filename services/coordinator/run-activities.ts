/** Activities of the run itself: open, start and finish stages, control facts, the end. Each reads the log first. */
import { StemmaError } from '../../core/errors.js';
import { runStream, stageStream } from '../../core/log/keys.js';
import type { EventLog, RunLogs } from '../../core/ports.js';
import type { StageRecipe } from '../../core/recipe/recipe.js';
import { amendedRecipe, amendmentProblem } from '../../core/run/amend.js';
import { parentOf, runFold, type RunState } from '../../core/run/run.js';
import { stageFold } from '../../core/stage/stage.js';
import type { Payload } from '../../core/log/fold.js';
import type { ControlFact, RunActivities, RunInput, RunPlan, StagePlan, StageRef } from '../../workflows/activities.js';
import { canonicalJson, sha256Hex } from '../runtime/canonical-json.js';
import { readFold, recordFact } from '../runtime/record-fact.js';
import { loadRecipe, parseRecipeValue } from '../runtime/recipe-schema.js';
import type { RunContext, RunContexts } from '../runtime/run-context.js';
import { readRun } from '../training/session.js';
import type { Stopwatch } from '../training/stopwatch.js';
import { assertRunId, createRun, type CreateRunDeps } from './create-run.js';
import { forkRun, planFork } from './fork-run.js';

export interface CoordinatorDeps extends CreateRunDeps {
  readonly logs: RunLogs;
  readonly contexts: RunContexts;
  readonly stopwatch: Pick<Stopwatch, 'pause' | 'resume'>;
}

const DEFAULT_SEED = 1;

export function createRunActivities(deps: CoordinatorDeps): RunActivities {
  return {
    openRun: (run, input) => openRun(deps, run, input),
    startStage: async (ref) => startStage(await deps.contexts.get(ref.run), ref),
    finishStage: async (ref) => finishStage(await deps.contexts.get(ref.run), ref),
    async recordControl(fact) {
      const answer = await recordControl(await deps.contexts.get(fact.run), fact);
      if (fact.action === 'pause') deps.stopwatch.pause();
      else if (fact.action === 'resume') deps.stopwatch.resume();
      return answer;
    },
    finishRun: async (run) => finishRun(await deps.contexts.get(run)),
    stopRun: (run, reason) => record(deps, run, { $case: 'runStopped', value: { reason } }),
    failRun: (run, message) => record(deps, run, { $case: 'runFailed', value: { code: 'FAILED', boundary: 'temporal', message } }),
  };
}

async function openRun(deps: CoordinatorDeps, run: string, input: RunInput): Promise<RunPlan> {
  assertRunId(run);
  // Refused before anything is written: a recipe that is not there leaves no log behind.
  if (!(await deps.logs.list()).includes(run)) await (input.fork ? planFork(deps, input.fork) : loadRecipe(input.recipe));
  const log = await deps.logs.open(run, 'write');
  const { state } = await readFold(log, runStream(run), runFold);
  if (!state.created) {
    await begin(deps, log, run, input).catch((error: unknown) => recordFinal(deps, run, error));
  }
  const context = await deps.contexts.get(run);
  return {
    run, recipe: context.recipe.name, seed: Number(context.seed), paused: state.paused,
    stopped: state.stopRequested || state.end !== undefined,
    stages: context.recipe.stages.map(stagePlan),
  };
}

async function begin(deps: CoordinatorDeps, log: EventLog, run: string, { recipe, seed, fork }: RunInput): Promise<void> {
  if (fork) return forkRun(deps, log, run, fork);
  await createRun(deps, log, { run, recipe: await loadRecipe(recipe), seed: BigInt(seed ?? DEFAULT_SEED) });
}

/** A run that cannot even be created ends at once, or whoever watches it would wait for ever. */
async function recordFinal(deps: CoordinatorDeps, run: string, error: unknown): Promise<never> {
  if (error instanceof StemmaError && !error.retriable && !error.mendable) {
    await record(deps, run, { $case: 'runFailed', value: { code: error.code, boundary: error.boundary, message: error.message } });
  }
  throw error;
}

function stagePlan(stage: StageRecipe): StagePlan {
  return {
    id: stage.id, kind: stage.kind, evaluate: stage.evaluate, steps: stage.steps,
    ...(stage.kind === 'rl' ? { domain: stage.domain } : {}),
  };
}

async function startStage(context: RunContext, ref: StageRef): Promise<void> {
  const state = await readRun(context);
  if (state.stages.has(ref.stage)) return;
  const recipe = context.recipe.stages.find((s) => s.id === ref.stage);
  if (!recipe) throw new StemmaError('recipe', 'NOT_FOUND', `recipe ${context.recipe.name} has no stage ${ref.stage}`, 'Check the stage id.');
  const parent = parentOf(state, recipe.init, context.base);
  if (!parent) throw new StemmaError('recipe', 'INVALID', `stage ${ref.stage} starts from ${recipe.init}, which has no result yet`, 'Order the stages by what they start from.');
  await recordFact(context.log, { stream: runStream(context.run), run: context.run }, {
    $case: 'stageStarted',
    value: { stage: ref.stage, kind: recipe.kind, parent, settingsHash: sha256Hex(canonicalJson(recipe)) },
  });
}

async function finishStage(context: RunContext, ref: StageRef): Promise<void> {
  const state = await readRun(context);
  if (state.stages.get(ref.stage)?.result) return;
  const stage = (await readFold(context.log, stageStream(ref.run, ref.stage), stageFold)).state;
  const published = stage.published[stage.published.length - 1];
  const last = stage.committed[stage.committed.length - 1];
  if (!published?.weights || published.step !== (last?.step ?? 0)) {
    throw new StemmaError('log', 'NOT_FOUND', `stage ${ref.stage} has not published its last step`, 'Advance the stage until it is done.');
  }
  await recordFact(context.log, { stream: runStream(context.run), run: context.run }, {
    $case: 'stageFinished',
    value: {
      stage: ref.stage, steps: published.step,
      result: { weightsHash: published.weightsHash, stateHash: last?.stateHash ?? '', weights: published.weights },
    },
  });
}

/** Steps that may be in the making when an amendment arrives: the closed one and the one being closed. */
const STEPS_IN_FLIGHT = 2;

async function recordControl(context: RunContext, fact: ControlFact): Promise<{ effectiveStep: number }> {
  const { updateId, by } = fact;
  const at = { stream: runStream(context.run), run: context.run };
  const state = await readRun(context);
  if (state.end) throw new StemmaError('gateway', 'INVALID', `run ${context.run} has ended`, 'Start a new run.');
  switch (fact.action) {
    case 'pause': await recordFact(context.log, at, { $case: 'runPaused', value: { updateId, by } }); break;
    case 'resume': await recordFact(context.log, at, { $case: 'runResumed', value: { updateId, by } }); break;
    case 'stop': await recordFact(context.log, at, { $case: 'runStopRequested', value: { updateId, by } }); break;
    case 'amend': return amend(context, fact, state);
  }
  return { effectiveStep: 0 };
}

async function amend(context: RunContext, fact: ControlFact, state: RunState): Promise<{ effectiveStep: number }> {
  const known = state.amendments.find((a) => a.updateId === fact.updateId);
  if (known) return { effectiveStep: known.fromStep };
  const stageId = fact.stage ?? '';
  const path = fact.path ?? '';
  const problem = amendmentProblem(context.recipe.stages.find((s) => s.id === stageId), path, fact.value);
  if (problem) throw new StemmaError('gateway', 'INVALID', `cannot amend ${stageId} ${path}: ${problem}`, 'Correct the amendment and send it again.');
  parseRecipeValue(amendedRecipe(context.recipe, stageId, path, fact.value), `the amendment of ${stageId} ${path}`);
  const stage = (await readFold(context.log, stageStream(context.run, stageId), stageFold)).state;
  const fromStep = state.stages.has(stageId) ? Math.max(0, ...stage.closed.keys()) + STEPS_IN_FLIGHT : 1;
  await recordFact(context.log, { stream: runStream(context.run), run: context.run }, {
    $case: 'settingAmended',
    value: { updateId: fact.updateId, by: fact.by, stage: stageId, fromStep, path, valueJson: JSON.stringify(fact.value) },
  });
  return { effectiveStep: fromStep };
}

async function finishRun(context: RunContext): Promise<{ weightsHash: string }> {
  const state = await readRun(context);
  const last = context.recipe.stages[context.recipe.stages.length - 1];
  const weightsHash = last ? state.stages.get(last.id)?.result?.weightsHash : undefined;
  if (!weightsHash) throw new StemmaError('log', 'NOT_FOUND', 'the last stage has no result', 'Finish every stage first.');
  if (!state.end) {
    await recordFact(context.log, { stream: runStream(context.run), run: context.run }, { $case: 'runFinished', value: { weightsHash } });
  }
  return { weightsHash };
}

async function record(deps: CoordinatorDeps, run: string, payload: Payload): Promise<void> {
  const log = await deps.logs.open(run, 'write');
  const { state } = await readFold(log, runStream(run), runFold);
  if (!state.end) await recordFact(log, { stream: runStream(run), run }, payload);
}
