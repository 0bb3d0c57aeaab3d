/** From finished episodes to the groups a step learns from: validity, dynamic sampling, replacement. Pure selection by index. */
import { isUniform } from '../advantage/dynamic-sampling.js';
import type { EpisodeRequest } from '../../proto/gen/stemma/v1/events.js';

/** What selection needs to know of one finished episode. */
export interface Outcome {
  readonly request: EpisodeRequest;
  readonly status: 'completed' | 'truncated' | 'failed';
  readonly correct: boolean;
  readonly reward: number;
}

export interface Group<O extends Outcome> {
  readonly task: string;
  /** Valid members only (completed or truncated), in sample order. */
  readonly members: readonly O[];
}

export type DropReason = 'too-few-valid' | 'uniform-group' | 'surplus' | 'score-failed';

export interface Selection<O extends Outcome> {
  readonly groups: readonly Group<O>[];
  readonly dropped: readonly { readonly episode: string; readonly reason: DropReason }[];
}

/** Groups in request order; a failed episode is never trained on. */
export function groupOutcomes<O extends Outcome>(outcomes: readonly O[]): Group<O>[] {
  const byTask = new Map<string, O[]>();
  for (const outcome of outcomes) {
    const members = byTask.get(outcome.request.task) ?? [];
    if (outcome.status !== 'failed') members.push(outcome);
    byTask.set(outcome.request.task, members);
  }
  return [...byTask].map(([task, members]) => ({
    task,
    members: members.sort((a, b) => a.request.sample - b.request.sample),
  }));
}

export function isInformative<O extends Outcome>(group: Group<O>, metric: 'correct' | 'reward'): boolean {
  return !isUniform(group.members.map((m) => (metric === 'correct' ? Number(m.correct) : m.reward)));
}

/**
 * DAPO's dynamic sampling by index (docs/algorithms.md): keep informative groups in request order, at most `wanted`.
 * If none is informative, every valid group is kept, so that the step still exists (its advantages are 0).
 */
export function selectGroups<O extends Outcome>(
  groups: readonly Group<O>[], wanted: number, keep: (group: Group<O>) => boolean,
): Selection<O> {
  const valid = groups.filter((g) => g.members.length >= 2);
  const informative = valid.filter(keep);
  const pool = informative.length > 0 ? informative : valid;
  const chosen = new Set(pool.slice(0, wanted));
  const dropped = groups.filter((g) => !chosen.has(g)).flatMap((g) => {
    const reason: DropReason = g.members.length < 2 ? 'too-few-valid' : keep(g) ? 'surplus' : 'uniform-group';
    return g.members.map((m) => ({ episode: m.request.episode, reason }));
  });
  return { groups: [...chosen], dropped };
}

/** Members without a score leave their groups; a group of fewer than two has nothing to compare and leaves whole. */
export function withoutUnscored<O extends Outcome>(groups: readonly Group<O>[], isScored: (member: O) => boolean): Selection<O> {
  const scored = groups.map((group) => ({ ...group, members: group.members.filter(isScored) }));
  const drop = (members: readonly O[], reason: DropReason): Selection<O>['dropped'] => members.map(({ request }) => ({ episode: request.episode, reason }));
  return {
    groups: scored.filter(({ members }) => members.length >= 2),
    dropped: groups.flatMap((group, at) => [
      ...drop(group.members.filter((member) => !isScored(member)), 'score-failed'),
      ...drop(scored[at]!.members.length === 1 ? scored[at]!.members : [], 'too-few-valid'),
    ]),
  };
}
