/**
 * A run's read models, kept up by reading on where the last look stopped: the run, its stages, and the episodes of the
 * step that is under way. What earlier episodes came to is in their steps' figures, so memory does not grow with them.
 */
import { episodeStream, runStream, stageStream } from '../../core/log/keys.js';
import type { EventLog } from '../../core/ports.js';
import { watchedStageFold } from '../../core/projection/facts.js';
import { runViewFeed, type RunView } from '../../core/projection/run-view.js';
import { chunksOf } from './chunks.js';

export interface RunFollower {
  /** Reads on; true if anything was new. */
  look(): Promise<boolean>;
  /** For progress and curves: which episodes past steps were made of is not in it. */
  view(): RunView;
}

export function followRun(log: EventLog, run: string): RunFollower {
  const feed = runViewFeed(watchedStageFold);
  const positions = new Map<string, number>();
  let underWay = '';
  const readOn = async (streams: readonly string[]): Promise<number> => {
    let found = 0;
    for (const chunk of chunksOf(streams)) {
      await Promise.all(chunk.map(async (stream) => {
        const events = await log.readStream(stream, positions.get(stream) ?? 0);
        const last = events[events.length - 1];
        if (!last) return;
        feed.add(events);
        positions.set(stream, last.position + 1);
        found += events.length;
      }));
    }
    return found;
  };
  return {
    view: () => feed.view(),
    async look() {
      let found = await readOn([runStream(run)]);
      found += await readOn([...feed.view().run.stages.keys()].map((stage) => stageStream(run, stage)));
      const { name, episodes } = stepUnderWay(feed.view());
      if (name !== underWay) {
        underWay = name;
        feed.forgetEpisodes();
        for (const stream of [...positions.keys()]) if (stream.startsWith('episode/')) positions.delete(stream);
      }
      found += await readOn(episodes.map((episode) => episodeStream(run, episode)));
      return found > 0;
    },
  };
}

/** The newest request of the newest stage, unless what it was for is done. */
function stepUnderWay(view: RunView): { readonly name: string; readonly episodes: readonly string[] } {
  const [stage, facts] = [...view.stages].at(-1) ?? [];
  const newest = facts?.requested.at(-1);
  const nothing = { name: '', episodes: [] };
  if (stage === undefined || facts === undefined || newest === undefined) return nothing;
  const done = newest.purpose === 'evaluate' ? view.run.stages.get(stage)?.evaluation !== undefined
    : newest.purpose === 'dataset' ? facts.datasets.length > 0
      : facts.committed.some(({ step }) => step === newest.step);
  if (done) return nothing;
  const requests = facts.requested.filter(({ step, purpose }) => step === newest.step && purpose === newest.purpose);
  return { name: `${stage}/${newest.step}/${newest.purpose}`, episodes: requests.flatMap((request) => request.episodes.map(({ episode }) => episode)) };
}
