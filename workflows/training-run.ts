/**
 * One training run: its stages one after the other, each a child workflow, each evaluated where the recipe says so.
 * The workflow id is the run id. Startable from the Temporal UI: task queue `stemma-worker`, type `trainingRun`, input {"recipe":"tiny"}.
 */
import { ApplicationFailure } from '@temporalio/common';
import { CancellationScope, ContinueAsNew, allHandlersFinished, condition, continueAsNew, isCancellation, startChild, workflowInfo, type ChildWorkflowOptions } from '@temporalio/workflow';
import type { FailureCause, RunInput, RunPlan, StagePlan } from './activities.js';
import { attributePairs, describeInSearch } from './attributes.js';
import { rowsOf, type RowState } from './details.js';
import { rootCause } from './failure.js';
import { learner, run as activities } from './proxies.js';
import { listenToPeople, noteStep, showRun, tellChild, type RunState } from './run-control.js';
import type { StageInput, StageOutcome } from './stage-loop.js';
import { STAGE_WORKFLOWS, evaluate } from './stages.js';
import type { RunStatus } from './messages.js';

/** What StemmaDomain of a run says while its stage is of no single domain: an attribute once set stays. */
const ALL_DOMAINS = 'all';

export interface RunOutcome {
  readonly run: string;
  readonly status: 'finished' | 'stopped';
  /** Of the last stage's result; '' where the run was stopped. */
  readonly weightsHash: string;
}

/** `nextStage` is set by continue-as-new only. */
export async function trainingRun(input: RunInput, nextStage = 0): Promise<RunOutcome> {
  const run = workflowInfo().workflowId;
  const state: RunState = {
    run, plan: undefined, status: 'opening', paused: false, stopRequested: false, stageIndex: nextStage, child: undefined, told: undefined,
    rows: [], amendments: [], reason: '', weightsHash: '',
  };
  listenToPeople(state);
  showRun(state);
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
  const plan = await learner(`open run ${state.run}: recipe ${recipe}`).openRun(state.run, {
    recipe, ...(seed === undefined ? {} : { seed }), ...(fork === undefined ? {} : { fork }), ...(asked === undefined ? {} : { asked }),
  });
  state.paused = plan.paused;
  state.stopRequested = plan.stopped;
  state.plan = plan;
  state.rows = rowsOf(plan.stages);
  state.amendments = [...(plan.amendments ?? [])];
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

type Purpose = 'train' | 'evaluate';

async function runChild(state: RunState, stage: StagePlan, purpose: Purpose): Promise<boolean> {
  await condition(() => !state.paused || state.stopRequested);
  if (state.stopRequested) return false;
  const doing = purpose === 'train' ? 'running' : 'evaluating';
  setRow(state, stage.id, doing);
  setStatus(state, doing);
  const id = `${state.run}/${stage.id}`;
  state.told = { paused: state.paused, stopRequested: false };
  const child = await startChild(purpose === 'train' ? STAGE_WORKFLOWS[stage.kind] : evaluate, {
    workflowId: purpose === 'train' ? id : `${id}/evaluate`,
    args: [stageInput(state, stage, purpose)],
    workflowTaskTimeout: '5 seconds',
    ...describeChild(state, stage, purpose),
  });
  state.child = child;
  await tellChild(state);
  const outcome: StageOutcome = await child.result().finally(() => { state.child = undefined; });
  if (outcome.finished && (purpose === 'evaluate' || !stage.evaluate)) setRow(state, stage.id, 'finished');
  noteStep(state, stage.id, { step: purpose === 'evaluate' ? stage.steps : outcome.step, figures: outcome.figures ?? {} });
  return outcome.finished;
}

function stageInput({ run, paused }: RunState, stage: StagePlan, purpose: Purpose): StageInput {
  return { run, stage: stage.id, steps: stage.steps, domain: stage.domain, paused, ...(purpose === 'train' && stage.slots !== undefined ? { slots: stage.slots } : {}) };
}

/** For the Temporal UI; no part of what replay compares. */
function describeChild({ run, plan, status }: RunState, { id, kind, domain }: StagePlan, purpose: Purpose): Pick<ChildWorkflowOptions, 'staticSummary' | 'staticDetails' | 'typedSearchAttributes'> {
  const what = `stage ${id} (${kind}${domain === undefined ? '' : `, ${domain}`})`;
  return {
    staticSummary: purpose === 'train' ? what : `evaluate ${what}`,
    staticDetails: `This is ${what} of run \`${run}\`, recipe ${plan?.recipe}. Steered through its run: send updates to workflow \`${run}\`.`,
    typedSearchAttributes: attributePairs({ recipe: plan?.recipe, stage: id, domain, status }),
  };
}

function setRow(state: RunState, stage: string, now: RowState): void {
  const row = state.rows.find(({ id }) => id === stage);
  if (row) row.state = now;
}

async function finish(state: RunState): Promise<RunOutcome> {
  const { weightsHash } = await activities(`finish run ${state.run}`).finishRun(state.run);
  state.weightsHash = weightsHash;
  setStatus(state, 'finished');
  return { run: state.run, status: 'finished', weightsHash };
}

async function stopped(state: RunState, reason: string): Promise<RunOutcome> {
  state.reason = reason;
  if (state.plan) await activities(`stop run ${state.run}: ${reason}`).stopRun(state.run, reason);
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
  state.reason = message;
  setStatus(state, 'failed');
  if (state.plan) await activities(`record why run ${state.run} failed`).failRun(state.run, message, cause);
}

function setStatus(state: RunState, status: RunStatus): void {
  state.status = status;
  const stage = state.plan?.stages[state.stageIndex];
  describeInSearch({ status, ...(stage ? { stage: stage.id, domain: stage.domain ?? ALL_DOMAINS } : {}) });
  showRun(state);
}
