/** The stage stream: what was requested, closed, committed, published. */
import type {
  BatchClosed, DatasetSealed, EpisodesRequested, Event, PolicyPublished, SnapshotTaken, StepCommitted,
} from '../../proto/gen/stemma/v1/events.js';
import type { Fold, Payload } from '../log/fold.js';

export interface StageState {
  /** By step, then round. Step 0 holds requests made to build datasets; step steps+1 the evaluation. */
  readonly requests: Map<number, EpisodesRequested[]>;
  readonly datasets: Map<string, DatasetSealed>;
  readonly closed: Map<number, BatchClosed>;
  /** committed[n-1] is step n. */
  readonly committed: StepCommitted[];
  readonly snapshots: SnapshotTaken[];
  readonly published: PolicyPublished[];
}

export const stageFold: Fold<StageState> = {
  initial: () => ({
    requests: new Map(), datasets: new Map(), closed: new Map(), committed: [], snapshots: [], published: [],
  }),
  evolve: evolveStage,
};

function evolveStage(state: StageState, payload: Payload, _event: Event): StageState {
  switch (payload.$case) {
    case 'episodesRequested': {
      const rounds = state.requests.get(payload.value.step) ?? [];
      rounds[payload.value.round] ??= payload.value;
      state.requests.set(payload.value.step, rounds);
      return state;
    }
    case 'datasetSealed':
      if (!state.datasets.has(payload.value.dataset)) state.datasets.set(payload.value.dataset, payload.value);
      return state;
    case 'batchClosed':
      if (!state.closed.has(payload.value.step)) state.closed.set(payload.value.step, payload.value);
      return state;
    case 'stepCommitted':
      // Steps are committed in order; a repeated commit of a step is the same fact.
      if (payload.value.step === state.committed.length + 1) state.committed.push(payload.value);
      return state;
    case 'snapshotTaken':
      state.snapshots.push(payload.value);
      return state;
    case 'policyPublished':
      state.published.push(payload.value);
      return state;
    default:
      return state;
  }
}

export function lastCommitted(state: StageState): StepCommitted | undefined {
  return state.committed[state.committed.length - 1];
}

/** Rounds requested for a step, in order. */
export function roundsOf(state: StageState, step: number): readonly EpisodesRequested[] {
  return state.requests.get(step) ?? [];
}
