/**
 * The stage stream: what was requested, closed, committed, published.
 *
 * A committed step is recomputed from its recorded batch alone, so its requests and batch members are let go when it commits: what
 * later steps ask of them is counted. Memory grows by a record of hashes a step, not by its episodes. The ledger and lineage fold
 * all of it (core/projection/facts.ts).
 */
import type {
  BatchClosed, DatasetSealed, EpisodesRequested, Event, PolicyPublished, SnapshotTaken, StepCommitted,
} from '../../proto/gen/stemma/v1/events.js';
import type { Fold, Payload } from '../log/fold.js';

/** What it takes to recompute a step. */
export type RecordedBatch = Pick<BatchClosed, 'batchId' | 'batch' | 'settingsJson' | 'settingsHash'>;

export type CommittedStep = Pick<StepCommitted, 'step' | 'batchId' | 'parentStateHash' | 'stateHash' | 'weightsHash'> & {
  /** Absent in a damaged log. */
  readonly closed: RecordedBatch | undefined;
};

/** Of committed steps. */
interface Past {
  /** Distinct tasks of each round, summed over rounds. */
  prompts: number;
  /** Requested, by domain. */
  readonly episodes: Map<string, number>;
  /** Members of all their batches. */
  members: number;
}

export interface StageState {
  /** By step, then round, but for committed steps. Step 0 holds requests made to build datasets; step steps+1 the evaluation. */
  readonly requests: Map<number, EpisodesRequested[]>;
  readonly datasets: Map<string, DatasetSealed>;
  /** Of steps not committed yet. */
  readonly closed: Map<number, BatchClosed>;
  /** committed[n-1] is step n. */
  readonly committed: CommittedStep[];
  readonly past: Past;
  readonly snapshots: SnapshotTaken[];
  readonly published: PolicyPublished[];
}

export const stageFold: Fold<StageState> = {
  initial: () => ({
    requests: new Map(), datasets: new Map(), closed: new Map(), committed: [],
    past: { prompts: 0, episodes: new Map(), members: 0 }, snapshots: [], published: [],
  }),
  evolve: evolveStage,
};

function evolveStage(state: StageState, payload: Payload, _event: Event): StageState {
  switch (payload.$case) {
    case 'episodesRequested': {
      if (isCommitted(state, payload.value.step)) return state;
      const rounds = state.requests.get(payload.value.step) ?? [];
      rounds[payload.value.round] ??= payload.value;
      state.requests.set(payload.value.step, rounds);
      return state;
    }
    case 'datasetSealed':
      if (!state.datasets.has(payload.value.dataset)) state.datasets.set(payload.value.dataset, payload.value);
      return state;
    case 'batchClosed':
      if (!isCommitted(state, payload.value.step) && !state.closed.has(payload.value.step)) state.closed.set(payload.value.step, payload.value);
      return state;
    case 'stepCommitted':
      // Steps are committed in order; a repeated commit of a step is the same fact.
      if (payload.value.step === state.committed.length + 1) commit(state, payload.value);
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

function commit(state: StageState, { step, batchId, parentStateHash, stateHash, weightsHash }: StepCommitted): void {
  const { past } = state;
  const rounds = roundsOf(state, step);
  past.prompts += promptsOf(rounds);
  for (const { episodes } of rounds) for (const { domain } of episodes) past.episodes.set(domain, (past.episodes.get(domain) ?? 0) + 1);
  const batch = state.closed.get(step);
  past.members += batch?.members.length ?? 0;
  state.committed.push({
    step, batchId, parentStateHash, stateHash, weightsHash,
    closed: batch && { batchId: batch.batchId, batch: batch.batch, settingsJson: batch.settingsJson, settingsHash: batch.settingsHash },
  });
  state.requests.delete(step);
  state.closed.delete(step);
}

function isCommitted(state: StageState, step: number): boolean {
  return step > 0 && step <= state.committed.length;
}

export function lastCommitted(state: StageState): CommittedStep | undefined {
  return state.committed[state.committed.length - 1];
}

/** The newest step whose batch is closed; 0 before the first. */
export function lastClosed(state: StageState): number {
  return Math.max(state.committed.length, ...state.closed.keys());
}

/** Rounds requested for a step that is not committed, in order. */
export function roundsOf(state: StageState, step: number): readonly EpisodesRequested[] {
  return state.requests.get(step) ?? [];
}

/** Distinct tasks of each round of a step, summed over all of them so far. */
export function promptsAsked(state: StageState): number {
  return [...state.requests].reduce((sum, [step, rounds]) => (step > 0 ? sum + promptsOf(rounds) : sum), state.past.prompts);
}

/** Episodes of a domain requested so far. */
export function episodesAsked(state: StageState, wanted: string): number {
  return [...state.requests.values()].flat().reduce((sum, { episodes }) => sum + episodes.filter(({ domain }) => domain === wanted).length,
    state.past.episodes.get(wanted) ?? 0);
}

/** Members of the batches closed for steps before `step`, which is not committed. */
export function membersBefore(state: StageState, step: number): number {
  return [...state.closed].reduce((sum, [closed, { members }]) => (closed < step ? sum + members.length : sum), state.past.members);
}

function promptsOf(rounds: readonly EpisodesRequested[]): number {
  return rounds.reduce((sum, { episodes }) => sum + new Set(episodes.map(({ task }) => task)).size, 0);
}
