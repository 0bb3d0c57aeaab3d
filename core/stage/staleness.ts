/**
 * Asynchronous training as pure decisions. A version is the number of steps behind the weights; step n is learned at version n − 1:
 *
 *   staleness of a turn in step n  =  (n − 1) − version of the weights that sampled it
 *   staleness of an episode        =  that of its stalest turn
 *
 * Step n is asked for once n − 1 − ahead steps are committed, and no turn uses weights older than the request names:
 * so staleness is at most `ahead`, however rollouts and learner are interleaved. Synchronous is ahead = 0.
 */
import type { BlobRef, EpisodesRequested, StepCommitted } from '../../proto/gen/stemma/v1/events.js';
import type { Trajectory } from '../episode/trajectory.js';
import type { Asynchrony } from '../recipe/recipe.js';

/** Steps that are asked for beyond the one learned next. */
export function stepsAhead(asynchrony: Asynchrony | undefined): number {
  return asynchrony?.ahead ?? asynchrony?.maxStaleness ?? 0;
}

/** What no member of a batch may exceed. */
export function memberStalenessBound(asynchrony: Asynchrony | undefined): number {
  return asynchrony?.onStale === 'weight' ? stepsAhead(asynchrony) : asynchrony?.maxStaleness ?? 0;
}

/** Steps whose first round is asked for now: the one learned next and at most `ahead` beyond it. This is the back-pressure too. */
export function stepsToRequest(
  at: { readonly committed: number; readonly steps: number; readonly ahead: number }, isRequested: (step: number) => boolean,
): number[] {
  const last = Math.min(at.steps, at.committed + 1 + at.ahead);
  return Array.from({ length: Math.max(0, last - at.committed) }, (_, i) => at.committed + 1 + i).filter((step) => !isRequested(step));
}

export interface PolicyRef {
  readonly weightsHash: string;
  readonly weights?: BlobRef | undefined;
}

/** The newest weights of a stage, as its stream has them. */
export interface NewestWeights {
  /** After the last committed step: loadable where samplers share the trainer's process. */
  readonly committed?: string;
  /** The last published ones: loadable anywhere. */
  readonly published?: PolicyRef;
}

/** The weights of an episode's next turn. A request that names a blob is for samplers that only load blobs. Never older than the request's own. */
export function turnPolicy(round: Pick<EpisodesRequested, 'weightsHash' | 'weights'>, newest: NewestWeights): PolicyRef {
  if (round.weights) return newest.published ?? round;
  return newest.committed === undefined ? round : { weightsHash: newest.committed };
}

/** By weights hash, the newest version before `step` that has it. */
export function versionsBefore(
  step: number, parentWeightsHash: string, committed: readonly Pick<StepCommitted, 'step' | 'weightsHash'>[],
): Map<string, number> {
  const before = committed.filter((commit) => commit.step < step).sort((a, b) => a.step - b.step);
  return new Map([[parentWeightsHash, 0], ...before.map((commit) => [commit.weightsHash, commit.step] as const)]);
}

/** Of an episode in `step`. Weights of no version are left out: the ledger names them. 0 without turns. */
export function stalenessOf(step: number, sampledBy: Iterable<string>, versions: ReadonlyMap<string, number>): number {
  let staleness = 0;
  for (const hash of sampledBy) staleness = Math.max(staleness, step - 1 - (versions.get(hash) ?? step - 1));
  return staleness;
}

/** u8[T]: 1 where the weights that sampled a token are more than `bound` steps behind those that `step` trains; undefined where all are within. */
export function staleTokens(
  { tokens, sampledSpans }: Pick<Trajectory, 'tokens' | 'sampledSpans'>, at: { readonly step: number; readonly bound: number }, versions: ReadonlyMap<string, number>,
): Uint8Array | undefined {
  const stale = sampledSpans.filter(({ weightsHash }) => stalenessOf(at.step, [weightsHash], versions) > at.bound);
  if (stale.length === 0) return undefined;
  const marked = new Uint8Array(tokens.length);
  for (const { start, end } of stale) marked.fill(1, start, end);
  return marked;
}
