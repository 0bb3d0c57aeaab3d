/** From one prompt forward: its episodes, the batches they went into, and the weights that have a part of it. */
import { lineageOfEpisode, type Descendant, type EpisodeLineage } from './episode-lineage.js';
import type { RunView } from './run-view.js';

export interface PromptLineage {
  /** Task id. */
  readonly task: string;
  readonly domain: string;
  /** In the order they were asked for. */
  readonly episodes: readonly EpisodeLineage[];
  /** Each stage that any of the episodes has a part in, once; through the most direct of their ways. */
  readonly descendants: readonly Descendant[];
}

const DIRECTNESS: readonly Descendant['through'][] = ['batch', 'init', 'teacher'];

/** undefined where nobody asked for an episode of such a task. */
export function lineageOfPrompt(view: RunView, task: string): PromptLineage | undefined {
  const names = [...view.requests].filter(([, [first]]) => first?.episode.task === task).map(([name]) => name);
  const episodes = names.flatMap((name) => lineageOfEpisode(view, name) ?? []);
  const [first] = episodes;
  if (first === undefined) return undefined;
  const descendants = [...view.stages.keys()].flatMap((stage) => {
    const ways = episodes.flatMap((episode) => episode.descendants.filter((way) => way.stage === stage));
    return DIRECTNESS.flatMap((through) => ways.find((way) => way.through === through) ?? []).slice(0, 1);
  });
  return { task, domain: first.domain, episodes, descendants };
}
