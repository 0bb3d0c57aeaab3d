/** Live read models of the runs this process works on: what the metrics of runs are folded from. Nothing is read before the first scrape. */
import type { EventLog, RunLogs } from '../../core/ports.js';
import type { RunActivities } from '../../workflows/activities.js';
import type { Logger } from '../runtime/logger.js';
import type { RunContexts } from '../runtime/run-context.js';
import { followRun, type RunFollower } from '../runtime/run-follower.js';
import type { WatchedRun } from '../runtime/run-metrics.js';

export interface RunViews {
  /** Idempotent. */
  follow(run: string): void;
  /** As of the last look; asks for the next one. */
  current(): WatchedRun[];
  close(): Promise<void>;
}

/** Of the runs that have ended these newest stay in the metrics, so that a process that lives long has no more series than one that does not. */
const KEEP_ENDED = 8;

interface Followed {
  log?: EventLog;
  follower?: RunFollower;
  recipe?: WatchedRun['recipe'];
  looking?: Promise<void>;
  /** Everything acknowledged before this moment is in the view. */
  wholeAtMs: number;
}

type Sources = { readonly logs: RunLogs; readonly logger: Logger; readonly contexts: RunContexts };

export function createRunViews({ logs, logger, contexts }: Sources): RunViews {
  const runs = new Map<string, Followed>();
  let closed = false;
  const look = async (run: string, followed: Followed): Promise<void> => {
    const startedMs = performance.now();
    followed.log ??= await logs.open(run, 'read');
    followed.follower ??= followRun(followed.log, run);
    await followed.follower.look();
    followed.recipe ??= (await contexts.get(run)).recipe;
    followed.wholeAtMs = startedMs;
  };
  return {
    follow(run) {
      if (!runs.has(run)) runs.set(run, { wholeAtMs: performance.now() });
    },
    current() {
      const ended = [...runs].filter(([, { follower, looking }]) => looking === undefined && follower?.view().run.end !== undefined);
      for (const [run, { log }] of ended.slice(0, -KEEP_ENDED)) {
        runs.delete(run);
        void log?.close().catch((error: unknown) => logger.warn({ run, err: error }, 'closing'));
      }
      const over = new Set(ended.map(([run]) => run));
      for (const [run, followed] of closed ? [] : runs) {
        if (over.has(run)) continue;
        followed.looking ??= look(run, followed)
          .catch((error: unknown) => logger.warn({ run, err: error }, 'metrics of this run are behind'))
          .finally(() => { delete followed.looking; });
      }
      const nowMs = performance.now();
      return [...runs.values()].flatMap(({ follower, recipe, wholeAtMs }) => (follower ? [{ view: follower.view(), recipe, ageSeconds: (nowMs - wholeAtMs) / 1000 }] : []));
    },
    async close() {
      closed = true;
      for (const { looking, log } of runs.values()) {
        await looking;
        await log?.close();
      }
    },
  };
}

/** A run is followed from its first stage on, or, after a restart, from the look at unfinished runs. */
export function followedRuns(activities: RunActivities, views: RunViews): RunActivities {
  return {
    ...activities,
    async startStage(ref) {
      await activities.startStage(ref);
      views.follow(ref.run);
    },
  };
}
