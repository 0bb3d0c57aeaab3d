/** Live read models of the runs this process works on: what the learning metrics are folded from. Nothing is read before the first scrape. */
import type { EventLog, RunLogs } from '../../core/ports.js';
import type { RunView } from '../../core/projection/run-view.js';
import type { RunActivities } from '../../workflows/activities.js';
import type { Logger } from '../runtime/logger.js';
import { followRun, type RunFollower } from '../runtime/run-follower.js';

export interface RunViews {
  /** Idempotent. */
  follow(run: string): void;
  /** As of the last look; asks for the next one. */
  current(): RunView[];
  close(): Promise<void>;
}

interface Followed {
  log?: EventLog;
  follower?: RunFollower;
  looking?: Promise<void>;
}

export function createRunViews(logs: RunLogs, logger: Logger): RunViews {
  const runs = new Map<string, Followed>();
  let closed = false;
  const look = async (run: string, followed: Followed): Promise<void> => {
    followed.log ??= await logs.open(run, 'read');
    followed.follower ??= followRun(followed.log, run);
    await followed.follower.look();
  };
  return {
    follow(run) {
      if (!runs.has(run)) runs.set(run, {});
    },
    current() {
      for (const [run, followed] of closed ? [] : runs) {
        followed.looking ??= look(run, followed)
          .catch((error: unknown) => logger.warn({ run, err: error }, 'learning metrics of this run are behind'))
          .finally(() => { delete followed.looking; });
      }
      return [...runs.values()].flatMap(({ follower }) => (follower ? [follower.view()] : []));
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
