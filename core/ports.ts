/**
 * The ports: a port only where two adapters are real.
 *
 *   services ──▶ EventLog  ── embedded (SQLite) | kafka
 *            ──▶ BlobStore ── directory | s3
 *            ──▶ Sampler   ── sidecar | openai (vLLM, SGLang)
 *            ──▶ Scorer    ── sidecar | openai
 *            ──▶ Trainer   ── sidecar (CUDA or CPU)
 *
 * Every method rejects with a StemmaError (core/errors.ts).
 */
import type { BlobRef, Event, Stat } from '../proto/gen/stemma/v1/events.js';
import type { StepSettings } from '../proto/gen/stemma/v1/data.js';

/** An event and where it stands: `position` is its 0-based index in its stream. */
export interface StoredEvent {
  readonly position: number;
  readonly event: Event;
}

/** The log of one run. One total order per stream; none across streams. */
export interface EventLog {
  /**
   * Durable when it resolves. Events of one call that share a stream keep their order.
   * An id already in the log is a duplicate: same payload, dropped silently; other payload, HASH_MISMATCH.
   * A log that knows says at which position of its stream each of them stands.
   */
  append(events: readonly Event[]): Promise<readonly number[] | void>;
  /** All events of one stream from `fromPosition` (default 0), in stream order, including every append acknowledged before the call. */
  readStream(stream: string, fromPosition?: number): Promise<readonly StoredEvent[]>;
  /** Every event after the opaque cursor ('' is the start), then live until `signal` aborts. At least once. */
  tail(cursor: string, signal: StopSignal): AsyncIterable<TailBatch>;
  close(): Promise<void>;
}

/** What tail needs of an AbortSignal; core knows no DOM types. */
export interface StopSignal {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: () => void): void;
}

export interface TailBatch {
  readonly events: readonly StoredEvent[];
  readonly cursor: string;
}

/** All runs' logs, and the registry of runs. */
export interface RunLogs {
  /** `mode: 'read'` never creates or locks. NOT_FOUND when reading a run that is not there. */
  open(run: string, mode: 'write' | 'read'): Promise<EventLog>;
  /** Run ids, newest first. */
  list(): Promise<readonly string[]>;
}

/** Content-addressed bytes. Written once, hash-verified on read. */
export interface BlobStore {
  /** Durable (file and directory synced) when it resolves. */
  put(bytes: Uint8Array): Promise<BlobRef>;
  /** NOT_FOUND if missing, CORRUPT if the content does not hash to its name. */
  get(ref: BlobRef): Promise<Uint8Array>;
  has(ref: BlobRef): Promise<boolean>;
}

/** One stored copy of a blob, or what an interrupted put left behind. */
export interface StoredCopy {
  /** replaced: a newer copy of the same blob is there. */
  readonly kind: 'blob' | 'replaced' | 'unfinished';
  /** '' if unfinished. */
  readonly sha256: string;
  readonly bytes: number;
  /** When it was last put, in milliseconds since the epoch. */
  readonly putAtMs: number;
  /** The store's own name of it. */
  readonly handle: string;
}

/** A blob store as its collector sees it. A store has one collector at a time; putters and readers go on meanwhile. */
export interface BlobSweep {
  /** Puts may rely on a copy this young without renewing it: none of them may be removed. */
  readonly minimumAgeMs: number;
  list(): AsyncIterable<StoredCopy>;
  /** False if the copy has been put again since `beforeMs`, or is gone: then nothing was removed. */
  remove(copy: StoredCopy, beforeMs: number): Promise<boolean>;
  close(): Promise<void>;
}

export interface SampleInput {
  readonly weightsHash: string;
  /** The whole prefix. */
  readonly tokens: Uint32Array;
  readonly maxNewTokens: number;
  readonly stopTokenIds: readonly number[];
  readonly seed: bigint;
  readonly greedy: boolean;
  readonly temperature: number;
  readonly bannedTokenIds: readonly number[];
}

export interface Sampled {
  readonly tokens: Uint32Array;
  /** Raw temperature-1 log-probabilities, one a token. */
  readonly logprobs: Float32Array;
  readonly weightsHash: string;
  /** interrupted: cut short because that was asked for; it may have no tokens then. */
  readonly finish: 'stop' | 'length' | 'interrupted';
}

export interface Sampler {
  /** WEIGHTS_NOT_LOADED is retriable after loadWeights. When `interrupt` aborts it resolves soon, with what is sampled by then. */
  sample(input: SampleInput, interrupt?: StopSignal): Promise<Sampled>;
  loadWeights(weightsHash: string, weights: BlobRef): Promise<void>;
}

export interface ScoreInput {
  readonly weightsHash: string;
  /** 0: given-token log-probabilities. */
  readonly topK: number;
  /** Ids at or above are never among the top k; 0 is the whole vocabulary. */
  readonly validVocabulary: number;
  readonly bannedTokenIds: readonly number[];
  readonly samples: readonly { readonly tokens: Uint32Array; readonly positions: Uint32Array }[];
}

export interface Scorer {
  /** A ScoreTable blob, one row a sample in order. A pure function of its input. */
  score(input: ScoreInput): Promise<BlobRef>;
  loadWeights(weightsHash: string, weights: BlobRef): Promise<void>;
}

export interface TrainerState {
  readonly stateHash: string;
  readonly weightsHash: string;
  readonly step: number;
}

export interface StepInput {
  readonly parentStateHash: string;
  readonly batchId: string;
  readonly batch: BlobRef;
  readonly settings: StepSettings;
  readonly settingsHash: string;
}

export interface StepResult extends TrainerState {
  readonly stats: readonly Stat[];
  /** In batch order. */
  readonly sampleStats: readonly (readonly Stat[])[];
  readonly computeSeconds: number;
  /** As in TrainerStatus, when the step was done. */
  readonly busySeconds: number;
}

export interface TrainerStatus {
  /** Empty before the first restore. */
  readonly stateHash: string;
  readonly weightsHash: string;
  readonly fingerprintJson: string;
  readonly busySeconds: number;
  readonly peakMemoryBytes: number;
}

export interface Trainer {
  status(): Promise<TrainerStatus>;
  trainTokenizer(corpus: BlobRef, vocabularySize: number, specialTokens: readonly string[]): Promise<BlobRef>;
  initializeModel(modelConfigJson: string, seed: bigint): Promise<{ weightsHash: string; weights: BlobRef }>;
  restore(source: { weights: BlobRef } | { snapshot: BlobRef }): Promise<TrainerState>;
  /** WRONG_PARENT: restore and replay first. The same call twice gives the same answer. */
  step(input: StepInput): Promise<StepResult>;
  snapshot(stateHash: string): Promise<BlobRef>;
  publishWeights(weightsHash: string): Promise<BlobRef>;
  export(weights: BlobRef, tokenizer: BlobRef, chatTemplate: string, directory: string): Promise<readonly string[]>;
}
