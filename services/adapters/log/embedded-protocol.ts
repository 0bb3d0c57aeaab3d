/** What the main thread and the writer's thread say to each other. */
import { StemmaError, type Boundary, type ErrorCode } from '../../../core/errors.js';

export interface WriterOptions {
  readonly run: string;
  readonly file: string;
  /** Appends that would grow the file beyond this are DISK_FULL; 0 is no limit. */
  readonly maxFileBytes: number;
}

/** Of an event's id as it is sent and stored. */
export const ID_BYTES = 16;

/** Appends that become one commit. Event i has ids[16i..], streams[streamOf[i]] and lengths[i] of `bytes` from starts[i] on. */
export interface CommitGroup {
  readonly kind: 'commit';
  /** Events of each append. */
  readonly counts: Uint32Array;
  readonly ids: Uint8Array;
  /** Each once. */
  readonly streams: readonly string[];
  readonly streamOf: Uint32Array;
  readonly starts: Uint32Array;
  readonly lengths: Uint32Array;
  /** CRC-32 of each event's bytes. */
  readonly crcs: Uint32Array;
  readonly bytes: Uint8Array;
}

export type ToWriter = CommitGroup | { readonly kind: 'close' };

export interface WireError {
  readonly boundary: Boundary;
  readonly code: ErrorCode;
  readonly message: string;
  readonly remedy: string;
}

export type FromWriter =
  | { readonly kind: 'ready' }
  | { readonly kind: 'refused'; readonly error: WireError }
  | { readonly kind: 'committed' } & Committed;

export interface Committed {
  /** One entry an append: null is durable. */
  readonly results: readonly (WireError | null)[];
  /** Of each event of the group in its stream; without meaning for those of a failed append. */
  readonly positions: Uint32Array;
}

export function toWire({ boundary, code, message, remedy }: StemmaError): WireError {
  return { boundary, code, message, remedy };
}

export function fromWire({ boundary, code, message, remedy }: WireError): StemmaError {
  return new StemmaError(boundary, code, message, remedy);
}
