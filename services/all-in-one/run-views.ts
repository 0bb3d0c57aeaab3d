/** Live read models of the runs this process works on: what the learning metrics are folded from. */
import type { RunLogs } from '../../core/ports.js';
import { runViewFeed, type RunView, type RunViewFeed } from '../../core/projection/run-view.js';
import type { Logger } from '../runtime/logger.js';

export interface RunViews {
  /** Idempotent: tails the run's log from its start on. */
  follow(run: string): void;
  current(): RunView[];
  close(): Promise<void>;
}

export function createRunViews(logs: RunLogs, logger: Logger): RunViews {
  const feeds = new Map<string, { readonly feed: RunViewFeed; readonly tail: Promise<void> }>();
  const closing = new AbortController();
  return {
    follow(run) {
      if (feeds.has(run) || closing.signal.aborted) return;
      const feed = runViewFeed();
      const tail = tailInto(logs, run, { feed, signal: closing.signal })
        .catch((error: unknown) => logger.warn({ run, err: error }, 'learning metrics of this run stopped'));
      feeds.set(run, { feed, tail });
    },
    current: () => [...feeds.values()].map(({ feed }) => feed.view()),
    async close() {
      closing.abort();
      await Promise.all([...feeds.values()].map(({ tail }) => tail));
    },
  };
}

async function tailInto(logs: RunLogs, run: string, to: { feed: RunViewFeed; signal: AbortSignal }): Promise<void> {
  const log = await logs.open(run, 'read');
  try {
    for await (const { events } of log.tail('', to.signal)) to.feed.add(events);
  } finally {
    await log.close();
  }
}
