/** Figures of a step's episodes as sums and counts, so that readers can fold restarts away. */
import type { Stat } from '../../proto/gen/stemma/v1/events.js';
import type { Finished } from './requests.js';

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
      for (const { name, value } of episode.state.components) add(`reward_${name}${suffix}`, value);
      add(`correct${suffix}`, Number(episode.correct));
      add(`truncated${suffix}`, Number(episode.status === 'truncated'));
      add(`generated_tokens${suffix}`, generatedPositions.length);
      add(`episode_tokens${suffix}`, tokens.length);
    }
  }
  return [...sums].map(([name, { sum, count }]) => ({ name, sum, count }));
}
