/** How far behind the weights that a step trains its episodes were sampled, and what an asynchronous stage does with the stale ones. */
import { asynchronyOf } from '../../core/recipe/recipe.js';
import { stalenessOf, staleTokens, versionsBefore } from '../../core/stage/staleness.js';
import type { Stat } from '../../proto/gen/stemma/v1/events.js';
import type { Finished } from './requests.js';
import type { StageSession } from './session.js';

/** What a step of an asynchronous stage records besides; the last four of a stage that drops, weighted_* of one that weights. */
export const STALENESS_FIGURES = {
  staleness: 'Steps that a member of the batch is behind the weights it trains, by its stalest token.',
  policy_versions: 'Sets of weights that sampled one member.',
  weighted_members: '1 for a member with stale tokens, which have truncated importance weights; 0 for another.',
  dropped_stale: '1 for a usable episode that was dropped as stale, 0 for one that was not.',
  dropped_tokens: 'Generated tokens of an episode that was dropped as stale.',
  kept_tokens: 'Generated tokens of a usable episode that was not: where these are fewer, dropping favours short episodes.',
} as const;

/** The weights behind these episodes, in order of first use; one in a synchronous stage. */
export function sampledBy(episodes: readonly Finished[]): string[] {
  return [...new Set(episodes.flatMap(({ state }) => state.turns.flatMap((turn) => turn.spans.map(({ weightsHash }) => weightsHash))))];
}

export interface Judged {
  /** Failed ones too: they are nobody's. */
  readonly fresh: readonly Finished[];
  /** Usable, and staler than the stage allows. */
  readonly stale: readonly Finished[];
}

/** All fresh where the stage is synchronous. */
export function judgeStaleness(session: StageSession, step: number, episodes: readonly Finished[]): Judged {
  const bound = asynchronyOf(session.recipe)?.maxStaleness;
  if (bound === undefined) return { fresh: episodes, stale: [] };
  const versions = versionsOf(session, step);
  const isStale = (episode: Finished): boolean => episode.status !== 'failed' && stalenessOf(step, sampledBy([episode]), versions) > bound;
  return { fresh: episodes.filter((episode) => !isStale(episode)), stale: episodes.filter(isStale) };
}

/** Of a member: which of its tokens are weighted in the place of clipped. None in a stage that does not weight. */
export function staleTokensOf(session: StageSession, step: number): (member: Finished) => Uint8Array | undefined {
  const asynchrony = asynchronyOf(session.recipe);
  if (asynchrony?.onStale !== 'weight') return () => undefined;
  const versions = versionsOf(session, step);
  return ({ trajectory }) => staleTokens(trajectory, { step, bound: asynchrony.maxStaleness }, versions);
}

function versionsOf({ parent, stage }: StageSession, step: number): ReadonlyMap<string, number> {
  return versionsBefore(step, parent.weightsHash, stage.state.committed);
}

export function stalenessStats(session: StageSession, step: number, episodes: readonly Finished[]): Stat[] {
  const asynchrony = asynchronyOf(session.recipe);
  if (!asynchrony) return [];
  const inBatch = new Set(session.stage.state.closed.get(step)?.members.map(({ member }) => member));
  const members = episodes.filter(({ request }) => inBatch.has(request.episode));
  const { fresh, stale } = judgeStaleness(session, step, episodes);
  const versions = versionsOf(session, step);
  const stats = [
    statOf('staleness', members.map((member) => stalenessOf(step, sampledBy([member]), versions))),
    statOf('policy_versions', members.map((member) => sampledBy([member]).length)),
  ];
  if (asynchrony.onStale === 'weight') return [...stats, statOf('weighted_members', members.map((member) => Number(stale.includes(member))))];
  if (asynchrony.onStale === 'wait') return stats;
  const kept = fresh.filter(({ status }) => status !== 'failed');
  return [
    ...stats, statOf('dropped_stale', [...stale.map(() => 1), ...kept.map(() => 0)]),
    statOf('dropped_tokens', stale.map(generatedTokens)), statOf('kept_tokens', kept.map(generatedTokens)),
  ];
}

function generatedTokens({ trajectory }: Finished): number {
  return trajectory.generatedPositions.length;
}

function statOf(name: keyof typeof STALENESS_FIGURES, values: readonly number[]): Stat {
  return { name, sum: values.reduce((sum, value) => sum + value, 0), count: values.length };
}
