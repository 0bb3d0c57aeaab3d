/** A run's log is opened once for all who ask for it in this process, and closed with its last handle. */
import type { EventLog } from '../../../core/ports.js';

interface Shared {
  readonly log: Promise<EventLog>;
  handles: number;
}

export interface RunHandles {
  /** `key` names what is shared. */
  open(key: string, openLog: () => Promise<EventLog>): Promise<EventLog>;
  /** Closes all, whoever holds them. */
  close(): Promise<void>;
}

export function createRunHandles(): RunHandles {
  const open = new Map<string, Shared>();
  const closing = new Map<string, Promise<void>>();

  async function release(key: string, shared: Shared): Promise<void> {
    shared.handles -= 1;
    if (shared.handles > 0) return;
    if (open.get(key) === shared) open.delete(key);
    // Opened again meanwhile, it must find the lock free.
    const done = shared.log.then((log) => log.close()).finally(() => closing.delete(key));
    closing.set(key, done);
    await done;
  }

  return {
    async open(key, openLog) {
      await closing.get(key);
      const shared = open.get(key) ?? { log: openLog(), handles: 0 };
      open.set(key, shared);
      shared.handles += 1;
      try {
        return handle(await shared.log, () => release(key, shared));
      } catch (error) {
        // The next caller tries anew.
        if (open.get(key) === shared) open.delete(key);
        throw error;
      }
    },
    async close() {
      const all = [...open.values()];
      open.clear();
      // One that failed to open has told its opener.
      await Promise.all(all.map(({ log }) => log.then((opened) => opened.close(), () => undefined)));
      await Promise.all(closing.values());
    },
  };
}

function handle(log: EventLog, release: () => Promise<void>): EventLog {
  let released: Promise<void> | null = null;
  return {
    append: (events) => log.append(events),
    readStream: (stream, fromPosition) => log.readStream(stream, fromPosition),
    tail: (cursor, signal) => log.tail(cursor, signal),
    close: () => (released ??= release()),
  };
}
