/**
 * What the read models need of one stage stream and of one episode stream. Counts where deciders keep the
 * first, so that the ledger can see a fact that was recorded twice. Token bytes are not kept.
 */
import type {
  BatchClosed, DatasetSealed, EpisodeDropped, EpisodeEnded, EpisodeScored, EpisodesRequested, PolicyPublished, ScoreFailed,
  SnapshotTaken, StepCommitted,
} from '../../proto/gen/stemma/v1/events.js';
import type { Fold } from '../log/fold.js';

/** Facts of one stage in stream order. */
export interface StageFacts {
  readonly requested: EpisodesRequested[];
  readonly dropped: EpisodeDropped[];
  readonly datasets: DatasetSealed[];
  readonly closed: BatchClosed[];
  readonly committed: StepCommitted[];
  readonly snapshots: SnapshotTaken[];
  readonly published: PolicyPublished[];
}

export const stageFactsFold: Fold<StageFacts> = {
  initial: () => ({ requested: [], dropped: [], datasets: [], closed: [], committed: [], snapshots: [], published: [] }),
  evolve(state, payload) {
    switch (payload.$case) {
      case 'episodesRequested': state.requested.push(payload.value); break;
      case 'episodeDropped': state.dropped.push(payload.value); break;
      case 'datasetSealed': state.datasets.push(payload.value); break;
      case 'batchClosed': state.closed.push(payload.value); break;
      case 'stepCommitted': state.committed.push(payload.value); break;
      case 'snapshotTaken': state.snapshots.push(payload.value); break;
      case 'policyPublished': state.published.push(payload.value); break;
      default: break;
    }
    return state;
  },
};

export interface EpisodeFacts {
  attempts: number;
  abortedAttempts: number;
  /** Turns sampled in all attempts. */
  turns: number;
  /** Weights that sampled the current attempt's turns. */
  readonly sampledBy: Set<string>;
  /** One, once the episode is terminal; more is a violation that the ledger names. */
  readonly ended: EpisodeEnded[];
  readonly scores: EpisodeScored[];
  readonly scoreFailures: ScoreFailed[];
}

export const episodeFactsFold: Fold<EpisodeFacts> = {
  initial: () => ({ attempts: 0, abortedAttempts: 0, turns: 0, sampledBy: new Set(), ended: [], scores: [], scoreFailures: [] }),
  evolve(state, payload) {
    switch (payload.$case) {
      case 'attemptStarted':
        state.attempts = Math.max(state.attempts, payload.value.attempt);
        state.sampledBy.clear();
        break;
      case 'turnSampled':
        state.turns += 1;
        state.sampledBy.add(payload.value.weightsHash);
        break;
      case 'attemptAborted': state.abortedAttempts += 1; break;
      case 'episodeEnded': state.ended.push(payload.value); break;
      case 'episodeScored': state.scores.push(payload.value); break;
      case 'scoreFailed': state.scoreFailures.push(payload.value); break;
      default: break;
    }
    return state;
  },
};

/** completed | truncated: what a batch or a dataset may take. */
export function isUsable(facts: EpisodeFacts | undefined): boolean {
  const status = facts?.ended[0]?.status;
  return status === 'completed' || status === 'truncated';
}
