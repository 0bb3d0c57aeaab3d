/** Figures of a step's episodes as sums and counts, so that readers can fold restarts away. */
import { asynchronyOf } from '../../core/recipe/recipe.js';
import { stalenessOf, versionsBefore } from '../../core/stage/staleness.js';
import type { Stat } from '../../proto/gen/stemma/v1/events.js';
import type { Finished } from './requests.js';
import type { StageSession } from './session.js';

export function episodeStats(episodes: readonly Finished[], perDomain: boolean): Stat[] {
  const sums = new Map<string, { sum: number; count: number }>();
  const add = (name: string, value: number): void => {
    const stat = sums.get(name) ?? { sum: 0, count: 0 };
    sums.set(name, { sum: stat.sum + value, count: stat.count + 1 });
  };
  for (const episode of episodes) {
    add('failed', Number(episode.status === 'failed'));
    if (episode.status === 'failed') continue;
    const suffixes = perDomain ? ['', `.${episode.request.domain}`] : [''];
    const { generatedPositions, tokens } = episode.trajectory;
    for (const suffix of suffixes) {
      add(`reward${suffix}`, episode.reward);
      add(`correct${suffix}`, Number(episode.correct));
      add(`truncated${suffix}`, Number(episode.status === 'truncated'));
      add(`generated_tokens${suffix}`, generatedPositions.length);
      add(`episode_tokens${suffix}`, tokens.length);
    }
  }
  return [...sums].map(([name, { sum, count }]) => ({ name, sum, count }));
}

/** The weights behind every turn of these episodes, in order of first use; one in a synchronous stage. */
export function sampledBy(episodes: readonly Finished[]): string[] {
  return [...new Set(episodes.flatMap(({ state }) => state.turns.map((turn) => turn.weightsHash)))];
}

/** Of the members of the step's closed batch, where the stage is asynchronous: steps behind, and versions in one episode. */
export function stalenessStats(session: StageSession, step: number, episodes: readonly Finished[]): Stat[] {
  if (!asynchronyOf(session.recipe)) return [];
  const { closed, committed } = session.stage.state;
  const members = new Set(closed.get(step)?.members.map(({ member }) => member));
  const versions = versionsBefore(step, session.parent.weightsHash, committed);
  const policies = episodes.filter(({ request }) => members.has(request.episode)).map((episode) => sampledBy([episode]));
  return [
    { name: 'staleness', sum: policies.reduce((sum, hashes) => sum + stalenessOf(step, hashes, versions), 0), count: policies.length },
    { name: 'policy_versions', sum: policies.reduce((sum, hashes) => sum + hashes.length, 0), count: policies.length },
  ];
}
