/** Updates of a run: validate, append the fact, then tell the running stage. The fact is durable before the update returns. */
import { ApplicationFailure } from '@temporalio/common';
import { condition, currentUpdateInfo, setCurrentDetails, setHandler, type ChildWorkflowHandle, type Workflow } from '@temporalio/workflow';
import type { AmendedSetting, ControlFact, RunPlan } from './activities.js';
import { describeInSearch } from './attributes.js';
import { exampleAmendment, runPage, stageLines, takesSteps, updatesHelp, type StageRow } from './details.js';
import {
  amend, control, help, pause, progress, resume, stages, stepped, stop,
  type Amendment, type Asked, type Control, type ControlAnswer, type RunProgress, type RunStatus,
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
  /** The progress table, a row a stage; empty until the run is opened. */
  rows: StageRow[];
  amendments: AmendedSetting[];
  /** Why it failed or was stopped. */
  reason: string;
  weightsHash: string;
}

export function listenToPeople(state: RunState): void {
  setHandler(progress, () => progressOf(state), { description: 'Where the run is, for programs.' });
  setHandler(stages, () => stageLines(state.rows), { description: 'Where each stage is, a line each.' });
  setHandler(help, () => updatesHelp(state.rows), { description: 'What to type into each update.' });
  setHandler(stepped, ({ stage, step, figures }) => noteStep(state, stage, { step, figures }), { description: 'From a stage to its run; not for people.' });
  const validator = (asked?: Asked): void => assertOpenTo(state, asked);
  setHandler(pause, (asked?: Asked) => decide(state, 'pause', asked), { validator, description: 'Wait before the next step. No input.' });
  setHandler(resume, (asked?: Asked) => decide(state, 'resume', asked), { validator, description: 'Go on. No input.' });
  setHandler(stop, (asked?: Asked) => decide(state, 'stop', asked), { validator, description: 'End the run after the step it is in. No input.' });
  setHandler(amend, (amendment) => decide(state, 'amend', amendment), {
    validator: (amendment) => assertAmendment(state, amendment),
    description: `Give a setting of a stage another value from its next free step on. Input like ${JSON.stringify(exampleAmendment([]))}`,
  });
}

/** The page in the Temporal UI says what the state says. */
export function showRun(state: RunState): void {
  const { run, plan, status, reason, weightsHash, rows, amendments } = state;
  setCurrentDetails(runPage({ run, recipe: plan?.recipe ?? '', seed: plan?.seed ?? 0, status, reason, weightsHash, rows, amendments }));
}

/** A message that comes late says less than what is known. */
export function noteStep(state: RunState, stage: string, { step, figures }: Pick<StageRow, 'step' | 'figures'>): void {
  const row = state.rows.find(({ id }) => id === stage);
  if (!row || step < row.step) return;
  row.step = step;
  row.figures = { ...row.figures, ...figures };
  showRun(state);
}

/** Several updates may be in flight: each is its own fact, the log's order decides, the last to return wins here. */
async function decide(state: RunState, action: ControlFact['action'], typed: Partial<Amendment> | null | undefined): Promise<ControlAnswer> {
  // The UI sends nothing, or what a person typed.
  const asked = typed ?? {};
  const updateId = currentUpdateInfo()?.id ?? '';
  await condition(() => state.plan !== undefined || state.status === 'failed');
  if (!state.plan) throw ApplicationFailure.nonRetryable(`run ${state.run} could not be opened: ${state.reason}`, 'INVALID');
  const summary = action === 'amend' ? `amend ${asked.stage}: ${asked.path} = ${JSON.stringify(asked.value)}` : action;
  const answer = await activities(summary).recordControl(factOf({ run: state.run, updateId, action }, asked));
  if (action === 'amend') state.amendments.push({ stage: asked.stage ?? '', path: asked.path ?? '', value: asked.value, fromStep: answer.effectiveStep });
  else take(state, action);
  showRun(state);
  await tellChild(state);
  return answer;
}

function factOf(what: Pick<ControlFact, 'run' | 'updateId' | 'action'>, { by = '', origin = '', seal = '', stage, path, value }: Partial<Amendment>): ControlFact {
  return { ...what, by, origin, seal, ...(what.action === 'amend' ? { stage, path, value } : {}) };
}

function take(state: RunState, action: Exclude<ControlFact['action'], 'amend'>): void {
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

function assertOpenTo(state: RunState, asked: Asked | null | undefined): void {
  if (state.stopRequested || state.status === 'finished' || state.status === 'stopped' || state.status === 'failed') {
    throw refused(`run ${state.run} is ${state.stopRequested ? 'stopping' : state.status} and takes no more updates: start a new run, or fork this one`);
  }
  const wrong = (['by', 'origin', 'seal'] as const).filter((name) => asked?.[name] !== undefined && typeof asked[name] !== 'string');
  if (wrong.length > 0) throw refused(`${wrong.join(', ')}: expected a string; leave them out`);
}

function assertAmendment(state: RunState, amendment: Amendment | null | undefined): void {
  assertOpenTo(state, amendment);
  const example = JSON.stringify(exampleAmendment(state.rows));
  if (typeof amendment?.stage !== 'string' || typeof amendment.path !== 'string' || amendment.path === '' || amendment.value === undefined) {
    throw refused(`expected a stage, the path of one of its settings and a value: type for instance ${example}`);
  }
  const row = state.rows.find(({ id }) => id === amendment.stage);
  if (row && !takesSteps(row)) throw refused(`stage ${amendment.stage} has taken its steps; an amendment can reach ${open(state)}. Type for instance ${example}`);
  if (state.rows.length > 0 && !row) throw refused(`there is no stage ${amendment.stage}; there are ${open(state)}. Type for instance ${example}`);
}

function open({ rows }: RunState): string {
  return rows.filter(takesSteps).map(({ id }) => id).join(', ') || 'none';
}

/** To the person who sent the update: what is wrong and what to type. */
function refused(message: string): ApplicationFailure {
  const failure = ApplicationFailure.nonRetryable(message, 'INVALID');
  // The form shows it too.
  failure.stack = '';
  return failure;
}

function progressOf(state: RunState): RunProgress {
  const stage = state.plan?.stages[state.stageIndex];
  return {
    run: state.run, recipe: state.plan?.recipe ?? '', status: state.status, paused: state.paused, stopRequested: state.stopRequested,
    stage: stage?.id ?? '', stageNumber: state.stageIndex + 1, stages: state.plan?.stages.length ?? 0, steps: stage?.steps ?? 0,
  };
}
