/**
 * One training run: its stages one after the other, each a child workflow, each evaluated where the recipe says so.
 * The workflow id is the run id. Startable from the Temporal UI: task queue `stemma-worker`, type `trainingRun`, input {"recipe":"tiny"}.
 */
import { ApplicationFailure } from '@temporalio/common';
import {
  CancellationScope, ContinueAsNew, allHandlersFinished, condition, continueAsNew, isCancellation, setCurrentDetails, startChild, workflowInfo,
} from '@temporalio/workflow';
import type { FailureCause, RunInput, RunPlan, StagePlan } from './activities.js';
import { describeInSearch } from './attributes.js';
import { rootCause } from './failure.js';
import { learner, run as activities } from './proxies.js';
import { listenToPeople, tellChild, type RunState } from './run-control.js';
import type { StageInput, StageOutcome } from './stage-loop.js';
import { STAGE_WORKFLOWS, evaluate } from './stages.js';
import type { RunStatus } from './messages.js';

export interface RunOutcome {
  readonly run: string;
  readonly status: 'finished' | 'stopped';
  /** Of the last stage's result; '' where the run was stopped. */
  readonly weightsHash: string;
}

/** `nextStage` is set by continue-as-new only. */
export async function trainingRun(input: RunInput, nextStage = 0): Promise<RunOutcome> {
  const run = workflowInfo().workflowId;
  const state: RunState = { run, plan: undefined, status: 'opening', paused: false, stopRequested: false, stageIndex: nextStage, child: undefined, told: undefined };
  listenToPeople(state);
  try {
    assertInput(input);
    await open(state, input);
    const outcome = (await runStages(state, input)) ? await finish(state) : await stopped(state, 'stop was requested');
    await condition(allHandlersFinished);
    return outcome;
  } catch (error) {
    return await ended(state, error);
  }
}

function assertInput(input: RunInput | undefined): void {
  if (typeof input?.recipe === 'string' && (input.seed === undefined || Number.isSafeInteger(input.seed))) return;
  throw ApplicationFailure.nonRetryable('the input must be {"recipe": NAME} or {"recipe": NAME, "seed": INTEGER}, for instance {"recipe":"tiny"}', 'INVALID');
}

async function open(state: RunState, input: RunInput): Promise<void> {
  const { recipe, seed, fork, asked } = input;
  const plan = await learner.openRun(state.run, {
    recipe, ...(seed === undefined ? {} : { seed }), ...(fork === undefined ? {} : { fork }), ...(asked === undefined ? {} : { asked }),
  });
  state.paused = plan.paused;
  state.stopRequested = plan.stopped;
  state.plan = plan;
  describeInSearch({ recipe: plan.recipe });
  setStatus(state, plan.paused ? 'paused' : 'running');
}

/** False: a stop came first. */
async function runStages(state: RunState, input: RunInput): Promise<boolean> {
  const { stages } = state.plan as RunPlan;
  for (const [index, stage] of stages.entries()) {
    if (index < state.stageIndex) continue;
    state.stageIndex = index;
    if (workflowInfo().continueAsNewSuggested) {
      await condition(allHandlersFinished);
      await continueAsNew<typeof trainingRun>(input, index);
    }
    if (!(await runChild(state, stage, 'train'))) return false;
    if (stage.evaluate && !(await runChild(state, stage, 'evaluate'))) return false;
  }
  return true;
}

async function runChild(state: RunState, stage: StagePlan, purpose: 'train' | 'evaluate'): Promise<boolean> {
  await condition(() => !state.paused || state.stopRequested);
  if (state.stopRequested) return false;
  setStatus(state, purpose === 'train' ? 'running' : 'evaluating');
  const id = `${state.run}/${stage.id}`;
  const what = `${stage.kind}${stage.domain === undefined ? '' : ` (${stage.domain})`} stage ${stage.id}`;
  const input: StageInput = { run: state.run, stage: stage.id, steps: stage.steps, domain: stage.domain, paused: state.paused, ...(purpose === 'train' && stage.slots !== undefined ? { slots: stage.slots } : {}) };
  state.told = { paused: state.paused, stopRequested: false };
  const child = await startChild(purpose === 'train' ? STAGE_WORKFLOWS[stage.kind] : evaluate, {
    workflowId: purpose === 'train' ? id : `${id}/evaluate`,
    args: [input],
    workflowTaskTimeout: '5 seconds',
    staticSummary: purpose === 'train' ? what : `evaluate ${what}`,
  });
  state.child = child;
  await tellChild(state);
  const outcome: StageOutcome = await child.result().finally(() => { state.child = undefined; });
  return outcome.finished;
}

async function finish(state: RunState): Promise<RunOutcome> {
  const { weightsHash } = await activities.finishRun(state.run);
  setStatus(state, 'finished');
  return { run: state.run, status: 'finished', weightsHash };
}

async function stopped(state: RunState, reason: string): Promise<RunOutcome> {
  if (state.plan) await activities.stopRun(state.run, reason);
  setStatus(state, 'stopped');
  return { run: state.run, status: 'stopped', weightsHash: '' };
}

/** Cancelled: a person stopped it. Failed: the log keeps why, unless the run was never opened and so has no log. */
async function ended(state: RunState, error: unknown): Promise<never> {
  if (error instanceof ContinueAsNew) throw error;
  return CancellationScope.nonCancellable(async () => {
    const { type, boundary, message } = rootCause(error);
    // A fact that cannot be recorded must not hide the error itself; start-runs.ts reports a failed workflow of an unfinished run.
    if (isCancellation(error)) await stopped(state, 'cancelled').catch(() => undefined);
    else await failed(state, message, { code: type, boundary }).catch(() => undefined);
    await condition(allHandlersFinished);
    throw isCancellation(error) ? error : ApplicationFailure.nonRetryable(message, type, { boundary });
  });
}

async function failed(state: RunState, message: string, cause: FailureCause): Promise<void> {
  setStatus(state, 'failed');
  if (state.plan) await activities.failRun(state.run, message, cause);
}

function setStatus(state: RunState, status: RunStatus): void {
  state.status = status;
  const stage = state.plan?.stages[state.stageIndex];
  describeInSearch({ status, ...(stage ? { stage: stage.id } : {}) });
  const where = stage ? `, stage **${stage.id}** (${state.stageIndex + 1} of ${state.plan?.stages.length})` : '';
  setCurrentDetails(`Run \`${state.run}\`: **${status}**${where}.`);
}
