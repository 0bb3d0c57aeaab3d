/** Who asked for which episode. */
import type { EpisodeRequest, EpisodesRequested } from '../../proto/gen/stemma/v1/events.js';
import type { StageFacts } from './facts.js';

export interface Requested {
  readonly stage: string;
  readonly request: EpisodesRequested;
  readonly episode: EpisodeRequest;
}

/** By episode id, in stream order; more than one request of an episode is a violation that the ledger names. */
export function requestsByEpisode(stages: ReadonlyMap<string, StageFacts>): Map<string, Requested[]> {
  const result = new Map<string, Requested[]>();
  for (const [stage, facts] of stages) {
    for (const request of facts.requested) {
      for (const episode of request.episodes) {
        const requests = result.get(episode.episode);
        if (requests) requests.push({ stage, request, episode });
        else result.set(episode.episode, [{ stage, request, episode }]);
      }
    }
  }
  return result;
}
