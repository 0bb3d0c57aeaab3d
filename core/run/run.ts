/** The run stream: what was asked for, how far its stages are, who steers it. Fold and decider. */
import type {
  EvaluationFinished, Event, ModelState, RunCreated, RunForked, SettingAmended, StageStarted,
} from '../../proto/gen/stemma/v1/events.js';
import type { Fold, Payload } from '../log/fold.js';

export interface RunStage {
  readonly started: StageStarted;
  result?: ModelState;
  evaluation?: EvaluationFinished;
}

export type RunEnd =
  | { readonly status: 'finished'; readonly weightsHash: string }
  | { readonly status: 'failed'; readonly message: string; readonly boundary: string; readonly code: string }
  | { readonly status: 'stopped'; readonly reason: string };

export interface RunState {
  created?: RunCreated;
  /** What this run is a fork of. */
  forked?: RunForked;
  readonly stages: Map<string, RunStage>;
  paused: boolean;
  stopRequested: boolean;
  readonly amendments: SettingAmended[];
  end?: RunEnd;
}

export const runFold: Fold<RunState> = {
  initial: () => ({ stages: new Map(), paused: false, stopRequested: false, amendments: [] }),
  evolve: evolveRun,
};

function evolveRun(state: RunState, payload: Payload, _event: Event): RunState {
  switch (payload.$case) {
    case 'runCreated':
      state.created ??= payload.value;
      return state;
    case 'runForked':
      state.forked ??= payload.value;
      return state;
    case 'stageStarted':
      if (!state.stages.has(payload.value.stage)) state.stages.set(payload.value.stage, { started: payload.value });
      return state;
    case 'stageFinished': {
      const stage = state.stages.get(payload.value.stage);
      if (stage) stage.result ??= payload.value.result;
      return state;
    }
    case 'evaluationFinished': {
      const stage = state.stages.get(payload.value.stage);
      if (stage) stage.evaluation ??= payload.value;
      return state;
    }
    default:
      return evolveControl(state, payload);
  }
}

/** Control facts: the last in stream order wins; the first end is the end. */
function evolveControl(state: RunState, payload: Payload): RunState {
  switch (payload.$case) {
    case 'runPaused':
      state.paused = true;
      return state;
    case 'runResumed':
      state.paused = false;
      return state;
    case 'runStopRequested':
      state.stopRequested = true;
      return state;
    case 'settingAmended':
      state.amendments.push(payload.value);
      return state;
    case 'runFinished':
      state.end ??= { status: 'finished', weightsHash: payload.value.weightsHash };
      return state;
    case 'runFailed':
      state.end ??= { status: 'failed', ...payload.value };
      return state;
    case 'runStopped':
      state.end ??= { status: 'stopped', reason: payload.value.reason };
      return state;
    default:
      return state;
  }
}

/** The model a stage starts from: an earlier stage's result, or the base weights. */
export function parentOf(state: RunState, init: string, base: ModelState): ModelState | undefined {
  return init === 'base' ? base : state.stages.get(init)?.result;
}
