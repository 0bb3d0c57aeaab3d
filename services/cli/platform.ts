/**
 * What the command line needs of the machine room. services/all-in-one implements it; tests hand in small real ones.
 *
 *   quickstart, up, run ──▶ Platform  (Temporal, sidecar, all services; the one writer of the embedded log)
 *   pause, stop, amend  ──▶ Controls  (a platform that another process has opened, through its gateway)
 *   status, watch, …    ──▶ Stores    (read-only: works beside a writer and without one)
 *   replay, export      ──▶ Compute   (a sidecar of one's own)
 */
import type { StemmaError } from '../../core/errors.js';
import type { BlobStore, BlobSweep, RunLogs, Trainer } from '../../core/ports.js';
import type { ControlFact, ForkInput } from '../../workflows/activities.js';
import type { Asked } from '../../workflows/messages.js';
import type { OpenRole, RoleOptions } from '../roles/open-role.js';
import type { ChildExit } from '../runtime/child-process.js';
import type { Config } from '../runtime/config.js';
import type { Logger } from '../runtime/logger.js';

/** Where the logs and blobs of all runs lie. */
export interface Stores {
  /** `list()` is empty where nothing has run yet; `open(run, 'read')` never creates or locks. */
  readonly logs: RunLogs;
  readonly blobs: BlobStore;
  close(): Promise<void>;
}

/** What collecting blobs needs: every log of this machine's configuration whose runs keep blobs in the store. */
export interface Collection {
  readonly logs: readonly RunLogs[];
  readonly blobs: BlobStore;
  readonly sweep: BlobSweep;
  close(): Promise<void>;
}

export interface SubmitRequest {
  /** Also the workflow id. Submitting what is already there is no error: the run goes on. */
  readonly run: string;
  /** A name under recipes/ or a path. */
  readonly recipe: string;
  readonly seed: number;
  /** The run is a fork. */
  readonly fork?: ForkInput;
}

/** Who asks is known to whoever takes it. */
export type ControlRequest = Omit<ControlFact, keyof Asked>;

export interface Controls {
  /** Resolves once Temporal has the workflow. */
  submit(request: SubmitRequest): Promise<void>;
  /** Resolves once the fact is in the log; `effectiveStep` is where an amendment holds from. */
  control(request: ControlRequest): Promise<{ readonly effectiveStep: number }>;
  close(): Promise<void>;
}

/** Addresses for people, complete with http://; '' where there is none. */
export interface Addresses {
  readonly temporalUi: string;
  readonly metrics: string;
  readonly gateway: string;
  readonly http: string;
}

export interface Platform extends Stores, Controls {
  readonly addresses: Addresses;
  /** Highest sum of resident memory over our processes so far. */
  peakMemoryMiB(): Promise<number>;
  /** Finishes what is in flight within seconds, stops children, gives the log's lock back. Losing nothing does not depend on it. */
  close(): Promise<void>;
}

export interface PlatformOptions {
  readonly config: Config;
  readonly logger: Logger;
  /** Ends the waiting at the start for a Temporal that does not answer. */
  readonly stop?: AbortSignal;
  /** Says in a few words what is being started; shown to the person who waits. */
  readonly onStart: (what: string) => void;
  /** Something that only a person can mend, such as a full disk; work is tried again meanwhile. Called once a message. */
  readonly onTrouble?: (message: string) => void;
  /** Nobody mended it in time: close the platform. The run stays unfinished and can be gone on with. */
  readonly onGivenUp?: (error: StemmaError) => void;
  /** The sidecar or a worker ended for good: close the platform and start anew. Nothing is lost. */
  readonly onFailure?: (error: StemmaError) => void;
  /** Only this run is worked on: other unfinished runs stay as they are, for `up` or their own command. Absent: all of them. */
  readonly onlyRun?: string;
}

export interface Compute {
  readonly trainer: Trainer;
  close(): Promise<void>;
}

export interface ClusterOptions {
  /** `log` names what all processes share. */
  readonly config: Config;
  readonly rollouts: number;
  /** Teacher-scoring processes; 1 by default. */
  readonly scorings?: number;
  /** Ends the waiting at the start: services wait without limit for what is not there. */
  readonly stop?: AbortSignal;
  readonly onStart: (what: string) => void;
  /** A part ended without having been asked to; it is started again. */
  readonly onDeath?: (part: string, exit: ChildExit) => void;
}

/** Distributed mode on one machine: Temporal, maybe a broker, and each service a process. */
export interface Cluster extends Pick<Controls, 'submit' | 'control'> {
  /** With the addresses chosen at start: what other processes need to join, and readers to open the log. */
  readonly config: Config;
  readonly addresses: Addresses;
  readonly parts: readonly ClusterPart[];
  /** Each part hands back its work; then they end. */
  close(): Promise<void>;
}

export interface ClusterPart {
  /** temporal, broker, worker, gateway, learner, distiller, teacher-scoring, rollout-1 … */
  readonly name: string;
  /** Of the present incarnation; right after its death, of the one before. */
  pid(): number;
  /** Called each time it is ready again after it had died. */
  onRestart(listener: () => void): void;
  /** http://…/metrics of a service; /healthz and /readyz are beside it. */
  readonly metrics?: string;
}

/** The ways in. Each rejects with a StemmaError that says what to do. */
export interface Doors {
  openPlatform(options: PlatformOptions): Promise<Platform>;
  openCluster(options: ClusterOptions): Promise<Cluster>;
  openRole(options: RoleOptions): Promise<OpenRole>;
  openStores(config: Config): Promise<Stores>;
  /** LOCKED while another process collects. */
  openCollection(config: Config): Promise<Collection>;
  /** UNAVAILABLE when no platform runs. */
  connect(config: Config): Promise<Controls>;
  /** `exports`: the directory below which it may write. */
  openCompute(config: Config, exports?: string): Promise<Compute>;
}
