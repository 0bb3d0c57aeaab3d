/** Updates of a run: validate, append the fact, then tell the running stage. The fact is durable before the update returns. */
import { ApplicationFailure } from '@temporalio/common';
import { condition, currentUpdateInfo, setHandler, type ChildWorkflowHandle, type Workflow } from '@temporalio/workflow';
import type { ControlFact, RunPlan } from './activities.js';
import { describeInSearch } from './attributes.js';
import {
  amend, control, pause, progress, resume, stop, type Amendment, type Asked, type Control, type ControlAnswer, type RunProgress, type RunStatus,
} from './messages.js';
import { run as activities } from './proxies.js';

export interface RunState {
  readonly run: string;
  /** Undefined until the run is opened. */
  plan: RunPlan | undefined;
  status: RunStatus;
  paused: boolean;
  stopRequested: boolean;
  stageIndex: number;
  child: ChildWorkflowHandle<Workflow> | undefined;
  /** What the child knows. */
  told: Control | undefined;
}

export function listenToPeople(state: RunState): void {
  setHandler(progress, () => progressOf(state));
  const validator = (asked?: Asked): void => assertOpenTo(state, asked);
  setHandler(pause, (asked?: Asked) => decide(state, 'pause', asked), { validator, description: 'Wait before the next step.' });
  setHandler(resume, (asked?: Asked) => decide(state, 'resume', asked), { validator, description: 'Go on.' });
  setHandler(stop, (asked?: Asked) => decide(state, 'stop', asked), { validator, description: 'End the run after the step it is in.' });
  setHandler(amend, (amendment) => decide(state, 'amend', amendment), {
    validator: (amendment) => assertAmendment(state, amendment), description: 'Give a setting of a stage another value from its next free step on: {stage, path, value}.',
  });
}

/** Several updates may be in flight: each is its own fact, the log's order decides, the last to return wins here. */
async function decide(state: RunState, action: ControlFact['action'], asked: Partial<Amendment> = {}): Promise<ControlAnswer> {
  const updateId = currentUpdateInfo()?.id ?? '';
  await condition(() => state.plan !== undefined || state.status === 'failed');
  if (!state.plan) throw ApplicationFailure.nonRetryable(`run ${state.run} could not be opened`, 'INVALID');
  const answer = await activities.recordControl({
    run: state.run, updateId, action, by: asked.by ?? '', origin: asked.origin ?? '', seal: asked.seal ?? '',
    ...(action === 'amend' ? { stage: asked.stage, path: asked.path, value: asked.value } : {}),
  });
  take(state, action);
  await tellChild(state);
  return answer;
}

function take(state: RunState, action: ControlFact['action']): void {
  if (action === 'amend') return;
  if (action === 'stop') state.stopRequested = true;
  else state.paused = action === 'pause';
  state.status = state.stopRequested ? 'stopping' : state.paused ? 'paused' : 'running';
  describeInSearch({ status: state.status });
}

/** Signals the running stage, unless it knows already. A stage that ended meanwhile needs no telling. */
export async function tellChild(state: RunState): Promise<void> {
  const { child, told, paused, stopRequested } = state;
  if (!child || (told?.paused === paused && told.stopRequested === stopRequested)) return;
  state.told = { paused, stopRequested };
  await child.signal(control, state.told).catch(() => undefined);
}

function assertOpenTo(state: RunState, asked: Asked | undefined): void {
  if (state.stopRequested || state.status === 'finished' || state.status === 'stopped' || state.status === 'failed') {
    throw ApplicationFailure.nonRetryable(`run ${state.run} is ${state.stopRequested ? 'stopping' : state.status}`, 'INVALID');
  }
  const wrong = (['by', 'origin', 'seal'] as const).filter((name) => asked?.[name] !== undefined && typeof asked[name] !== 'string');
  if (wrong.length > 0) throw ApplicationFailure.nonRetryable(`${wrong.join(', ')}: expected a string`, 'INVALID');
}

function assertAmendment(state: RunState, amendment: Amendment | undefined): void {
  assertOpenTo(state, amendment);
  if (typeof amendment?.stage !== 'string' || typeof amendment.path !== 'string' || amendment.path === '' || amendment.value === undefined) {
    throw ApplicationFailure.nonRetryable('expected {"stage": STAGE, "path": SETTING, "value": VALUE}', 'INVALID');
  }
  const known = state.plan?.stages.map((stage) => stage.id);
  if (known && !known.includes(amendment.stage)) {
    throw ApplicationFailure.nonRetryable(`there is no stage ${amendment.stage}; there are ${known.join(', ')}`, 'INVALID');
  }
}

function progressOf(state: RunState): RunProgress {
  const stage = state.plan?.stages[state.stageIndex];
  return {
    run: state.run, recipe: state.plan?.recipe ?? '', status: state.status, paused: state.paused, stopRequested: state.stopRequested,
    stage: stage?.id ?? '', stageNumber: state.stageIndex + 1, stages: state.plan?.stages.length ?? 0, steps: stage?.steps ?? 0,
  };
}
