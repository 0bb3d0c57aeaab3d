/** Ctrl-C, twice if need be: the first asks for a graceful stop, the second ends the process at once. */

/** 128 + SIGINT, what shells report for Ctrl-C. */
export const EXIT_INTERRUPTED = 130;

export interface Shutdown {
  /** Aborts on the first SIGINT, SIGTERM or SIGHUP. */
  readonly signal: AbortSignal;
  /** Which signal it was; undefined until then. */
  readonly cause: () => NodeJS.Signals | undefined;
  /** Gives the signals back. */
  dispose(): void;
}

interface SignalSource {
  on(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown;
  off(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown;
}

export interface ShutdownSpec {
  /** Called once, on the first signal. */
  readonly onFirst: (signal: NodeJS.Signals) => void;
  /** Called on a later one; ends the process. */
  readonly onSecond: () => void;
  readonly source?: SignalSource;
}

const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

export function listenForShutdown(spec: ShutdownSpec): Shutdown {
  const source = spec.source ?? process;
  const controller = new AbortController();
  let cause: NodeJS.Signals | undefined;
  const listener = (signal: NodeJS.Signals): void => {
    if (cause !== undefined) {
      spec.onSecond();
      return;
    }
    cause = signal;
    spec.onFirst(signal);
    controller.abort();
  };
  for (const signal of SIGNALS) source.on(signal, listener);
  return {
    signal: controller.signal,
    cause: () => cause,
    dispose: () => {
      for (const signal of SIGNALS) source.off(signal, listener);
    },
  };
}
