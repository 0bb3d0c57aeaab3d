/** Activities of the run itself: start and finish stages, control facts, the end. Each reads the log first and computes nothing. */
import { StemmaError } from '../../core/errors.js';
import { runStream, stageStream } from '../../core/log/keys.js';
import type { RunLogs } from '../../core/ports.js';
import { asynchronyOf, type StageRecipe } from '../../core/recipe/recipe.js';
import { amendedRecipe, amendmentProblem } from '../../core/run/amend.js';
import { parentOf, type RunState } from '../../core/run/run.js';
import { stepsAhead } from '../../core/stage/staleness.js';
import { lastClosed, stageFold } from '../../core/stage/stage.js';
import type { ControlFact, FailureCause, RunActivities, StageRef } from '../../workflows/activities.js';
import { attributionOf, type Attribution } from '../runtime/access/attribution.js';
import type { Keyring } from '../runtime/access/keyring.js';
import { canonicalJson, sha256Hex } from '../runtime/canonical-json.js';
import { bindLogger, type Logger } from '../runtime/logger.js';
import { readFold, recordFact } from '../runtime/record-fact.js';
import { parseRecipeValue } from '../runtime/recipe-schema.js';
import type { RunContext, RunContexts } from '../runtime/run-context.js';
import { readRun } from '../training/session.js';
import type { Stopwatch } from '../training/stopwatch.js';
import { recordEnd } from './record-end.js';

export interface CoordinatorDeps {
  /** Tells what a gateway vouched for. */
  readonly keyring: Pick<Keyring, 'sealSecret'>;
  readonly logs: RunLogs;
  readonly contexts: RunContexts;
  readonly logger: Logger;
  /** Of the process that learns, where that is this one. */
  readonly stopwatch?: Pick<Stopwatch, 'pause' | 'resume'>;
}

/** Of a run that an earlier version of its workflow failed. */
const UNKNOWN_CAUSE: FailureCause = { code: 'FAILED', boundary: 'temporal' };

export function createRunActivities(deps: CoordinatorDeps): RunActivities {
  return {
    async startStage(ref) {
      await startStage(await deps.contexts.get(ref.run), ref);
      bindLogger(deps.logger, ref).info('stage started');
    },
    async finishStage(ref) {
      await finishStage(await deps.contexts.get(ref.run), ref);
      bindLogger(deps.logger, ref).info('stage finished');
    },
    async recordControl(fact) {
      const who = attributionOf(deps.keyring.sealSecret(), fact, fact);
      const answer = await recordControl(await deps.contexts.get(fact.run), fact, who);
      bindLogger(deps.logger, { run: fact.run }).info({ action: fact.action, ...who }, 'the run is steered');
      if (fact.action === 'pause') deps.stopwatch?.pause();
      else if (fact.action === 'resume') deps.stopwatch?.resume();
      return answer;
    },
    async finishRun(run) {
      const result = await finishRun(await deps.contexts.get(run));
      bindLogger(deps.logger, { run }).info(result, 'run finished');
      return result;
    },
    async stopRun(run, reason) {
      await recordEnd(deps.logs, run, { $case: 'runStopped', value: { reason } });
      bindLogger(deps.logger, { run }).info({ reason }, 'run stopped');
    },
    async failRun(run, message, { code, boundary } = UNKNOWN_CAUSE) {
      await recordEnd(deps.logs, run, { $case: 'runFailed', value: { code, boundary, message } });
      bindLogger(deps.logger, { run }).error({ code, boundary, reason: message }, 'run failed');
    },
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

/**
 * From the last closed step to the first that an amendment can reach: the one being closed when it arrives is past, in SFT, which
 * closes a batch while the one before is learned, the next one too; and those asked for ahead.
 */
function stepsInFlight(recipe: StageRecipe | undefined): number {
  return (recipe?.kind === 'sft' ? 3 : 2) + stepsAhead(asynchronyOf(recipe));
}

async function recordControl(context: RunContext, fact: ControlFact, who: Attribution): Promise<{ effectiveStep: number }> {
  const value = { updateId: fact.updateId, ...who };
  const at = { stream: runStream(context.run), run: context.run };
  const state = await readRun(context);
  if (state.end) throw new StemmaError('gateway', 'INVALID', `run ${context.run} has ended`, 'Start a new run.');
  switch (fact.action) {
    case 'pause': await recordFact(context.log, at, { $case: 'runPaused', value }); break;
    case 'resume': await recordFact(context.log, at, { $case: 'runResumed', value }); break;
    case 'stop': await recordFact(context.log, at, { $case: 'runStopRequested', value }); break;
    case 'amend': return amend(context, fact, { state, who });
  }
  return { effectiveStep: 0 };
}

async function amend(context: RunContext, fact: ControlFact, { state, who }: { readonly state: RunState; readonly who: Attribution }): Promise<{ effectiveStep: number }> {
  const stageId = fact.stage ?? '';
  const path = fact.path ?? '';
  const recipe = context.recipe.stages.find((s) => s.id === stageId);
  const nextFree = async (): Promise<number> => {
    const stage = (await readFold(context.log, stageStream(context.run, stageId), stageFold)).state;
    return lastClosed(stage) + stepsInFlight(recipe);
  };
  const known = state.amendments.find((a) => a.updateId === fact.updateId);
  if (known) return { effectiveStep: state.stages.has(stageId) ? Math.max(known.fromStep, await nextFree()) : known.fromStep };
  const problem = amendmentProblem(recipe, path, fact.value);
  if (problem) throw new StemmaError('gateway', 'INVALID', `cannot amend ${stageId} ${path}: ${problem}`, 'Correct the amendment and send it again.');
  parseRecipeValue(amendedRecipe(context.recipe, stageId, path, fact.value), `the amendment of ${stageId} ${path}`);
  const before = await nextFree();
  const fromStep = state.stages.has(stageId) ? before : 1;
  await recordFact(context.log, { stream: runStream(context.run), run: context.run }, {
    $case: 'settingAmended',
    value: { updateId: fact.updateId, ...who, stage: stageId, fromStep, path, valueJson: JSON.stringify(fact.value) },
  });
  // While the fact was on its way a stage may have started, and batches been closed, by who had not read it: the batches say so.
  const after = await nextFree();
  const unheard = (await readRun(context)).stages.has(stageId) && !(state.stages.has(stageId) && after === before);
  return { effectiveStep: unheard ? Math.max(fromStep, after) : fromStep };
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
