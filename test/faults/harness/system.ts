/** What the scheduler needs of a running system, whatever its processes are. */
import type { RunLogs } from '../../../core/ports.js';
import type { Proxy } from './proxy.js';
import type { Susceptible } from './plan.js';
import type { Trial, TrialSettings } from './trial.js';

export interface System {
  readonly trial: Trial;
  readonly run: string;
  readonly susceptible: Susceptible;
  /** Folders of the home that a failing disk or a power cut reaches. */
  readonly disks: readonly string[];
  /** Starts what is not running; the run goes on from its log. */
  start(): Promise<void>;
  /** Of the process that plays the role now; undefined while there is none. */
  pid(role: string): number | undefined;
  /** Whether somebody in the system brings the role's process back by itself. */
  comesBack(role: string): boolean;
  /** Readings of how often a sidecar became ready: its start is not counted as recovery. */
  sidecarStarts(): number;
  /** Every process of the system is gone when it resolves. */
  killAll(): Promise<void>;
  /** Where traffic to a role can be disturbed. */
  proxy(role: string): Proxy | undefined;
  /** All of a role's own connections; none where they are not its own. */
  links(role: string): readonly Proxy[];
  /** Resolves true when the run has finished, false when the system ended without. */
  ended(): Promise<boolean>;
  /** For errors: the last it said. */
  lastWords(): string;
  logs(): Promise<RunLogs & { close(): Promise<void> }>;
  close(): Promise<void>;
}

export interface SystemOptions {
  /** A name under recipes/ or the path of a file. */
  readonly recipe: string;
  readonly run: string;
  readonly seed: number;
  readonly settings: Omit<TrialSettings, 'proxies'>;
}

/** Nothing runs yet. */
export type OpenSystem = (options: SystemOptions) => Promise<System>;
