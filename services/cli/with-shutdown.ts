import { EXIT_INTERRUPTED } from '../runtime/shutdown.js';
import type { CliDeps } from './deps.js';

/** Work whose signal aborts on the first Ctrl-C; the second ends the process at once. */
export async function withShutdown<T>(deps: CliDeps, work: (signal: AbortSignal) => Promise<T>, onFirst: () => void = () => undefined): Promise<T> {
  const shutdown = deps.listenForShutdown({ onFirst, onSecond: () => deps.exitNow(EXIT_INTERRUPTED) });
  try {
    return await work(shutdown.signal);
  } finally {
    shutdown.dispose();
  }
}

/** Resolves when it aborts, at once where it has. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
