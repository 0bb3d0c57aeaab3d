/**
 * What the read models need of one stage stream and of one episode stream. Counts where deciders keep the
 * first, so that the ledger can see a fact that was recorded twice. Token bytes are not kept.
 */
import type {
  BatchClosed, DatasetSealed, EpisodeDropped, EpisodeEnded, EpisodeRequest, EpisodeScored, EpisodesRequested, PolicyPublished, ScoreFailed,
  SnapshotTaken, StepCommitted, TurnSampled,
} from '../../proto/gen/stemma/v1/events.js';
import { spanProblem, spansOf } from '../episode/turn.js';
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

/**
 * For progress and curves of a live run: of a committed step it keeps how many episodes were asked for, not which, and no members.
 * So memory does not grow by the episodes of past steps.
 */
export const watchedStageFold: Fold<StageFacts> = {
  initial: stageFactsFold.initial,
  evolve(state, payload, event) {
    stageFactsFold.evolve(state, payload, event);
    if (payload.$case !== 'stepCommitted') return state;
    const { step } = payload.value;
    replaceOfStep(state.requested, step, (request) => (request.purpose === 'train' ? { ...request, episodes: request.episodes.map(() => SOME_EPISODE) } : request));
    replaceOfStep(state.closed, step, (batch) => ({ ...batch, members: [] }));
    return state;
  },
};

const SOME_EPISODE: EpisodeRequest = { episode: '', domain: '', task: '', sample: 0, seed: 0n };

/** From the newest back to where earlier steps begin. */
function replaceOfStep<F extends { readonly step: number }>(facts: F[], step: number, replaced: (fact: F) => F): void {
  for (let index = facts.length - 1; index >= 0 && facts[index]!.step >= step; index -= 1) {
    if (facts[index]!.step === step) facts[index] = replaced(facts[index]!);
  }
}

export interface EpisodeFacts {
  attempts: number;
  abortedAttempts: number;
  /** Turns sampled in all attempts. */
  turns: number;
  /** Weights that sampled the current attempt's turns. */
  readonly sampledBy: Set<string>;
  /** Its turns inside which weights changed: whose they were, in order. */
  readonly changedInside: { readonly event: string; readonly hashes: readonly string[]; readonly problem: string | undefined }[];
  /** One, once the episode is terminal; more is a violation that the ledger names. */
  readonly ended: EpisodeEnded[];
  readonly scores: EpisodeScored[];
  readonly scoreFailures: ScoreFailed[];
}

export const episodeFactsFold: Fold<EpisodeFacts> = {
  initial: () => ({ attempts: 0, abortedAttempts: 0, turns: 0, sampledBy: new Set(), changedInside: [], ended: [], scores: [], scoreFailures: [] }),
  evolve(state, payload) {
    switch (payload.$case) {
      case 'attemptStarted':
        state.attempts = Math.max(state.attempts, payload.value.attempt);
        state.sampledBy.clear();
        state.changedInside.length = 0;
        break;
      case 'turnSampled':
        state.turns += 1;
        noteWeights(state, payload.value);
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

function noteWeights(state: EpisodeFacts, turn: TurnSampled): void {
  const hashes = spansOf(turn).map(({ weightsHash }) => weightsHash);
  for (const hash of hashes) state.sampledBy.add(hash);
  if (turn.changedWeights) state.changedInside.push({ event: `turnSampled ${turn.attempt}/${turn.turn}`, hashes, problem: spanProblem(turn) });
}

/** completed | truncated: what a batch or a dataset may take. */
export function isUsable(facts: EpisodeFacts | undefined): boolean {
  const status = facts?.ended[0]?.status;
  return status === 'completed' || status === 'truncated';
}
