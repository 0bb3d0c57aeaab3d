/** How many rollout and scoring pods: as many as the open step has work for, between the bounds (docs/decisions/replicas.md). Pure. */
import type { Replicas, ReplicaBounds, TrainingRunSpec } from './training-run.js';

/** Episodes of steps that are not committed yet. */
export interface Demand {
  /** To be played. */
  readonly episodes: number;
  /** Those that will be scored. */
  readonly scored: number;
}

/** Fewer pods only after fewer would have done for this long: a step's end is not the end of work. */
export const LOWER_AFTER_MS = 120_000;

type Counts = Pick<Replicas, 'rollout' | 'teacherScoring'>;

/** `demand` undefined: nobody knows, so nothing changes. */
export function nextReplicas(roles: TrainingRunSpec['roles'], before: Replicas | undefined, demand: Demand | undefined, nowMs: number): Replicas {
  const { rollout: { replicas: rollouts }, teacherScoring: { replicas: scorers } } = roles;
  const { lowerSince, ...counts } = before ?? { rollout: 0, teacherScoring: 0 };
  const held = { rollout: between(rollouts, counts.rollout), teacherScoring: between(scorers, counts.teacherScoring) };
  if (demand === undefined) return { ...held, ...(lowerSince !== undefined && { lowerSince }) };
  const needed = { rollout: needs(rollouts, demand.episodes), teacherScoring: needs(scorers, demand.scored) };
  const raised = { rollout: Math.max(held.rollout, needed.rollout), teacherScoring: Math.max(held.teacherScoring, needed.teacherScoring) };
  if (!isFewer(needed, held)) return raised;
  const since = lowerSince ?? new Date(nowMs).toISOString();
  return nowMs - Date.parse(since) >= LOWER_AFTER_MS ? needed : { ...raised, lowerSince: since };
}

function isFewer(a: Counts, b: Counts): boolean {
  return a.rollout < b.rollout || a.teacherScoring < b.teacherScoring;
}

function needs(bounds: ReplicaBounds, episodes: number): number {
  return between(bounds, Math.ceil(episodes / bounds.episodesPerReplica));
}

function between({ min, max }: ReplicaBounds, count: number): number {
  return Math.max(min, Math.min(max, count));
}
