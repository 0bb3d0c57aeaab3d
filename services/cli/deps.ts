/** What every command gets: the ways into the machine room, where to write, the configuration, signals and a clock. */
import type { Config } from '../runtime/config.js';
import type { Shutdown, ShutdownSpec } from '../runtime/shutdown.js';
import type { Doors } from './platform.js';
import type { Terminal } from './terminal.js';

export interface CliDeps {
  /** Loaded when a command needs it: `--help` must not wait for gRPC and Temporal. */
  readonly doors: () => Promise<Doors>;
  readonly terminal: Terminal;
  /** Settings given here are stronger than those of the environment. */
  readonly config: (settings?: { readonly [name: string]: string }) => Config;
  readonly listenForShutdown: (spec: ShutdownSpec) => Shutdown;
  /** Monotonic. */
  readonly nowMs: () => number;
  /** Unique per call: names a control update. */
  readonly newId: () => string;
  /** Ends the process at once, for the second Ctrl-C. */
  readonly exitNow: (code: number) => void;
}
