/** What a person should read of a failure: the innermost cause, not "Activity task failed". */
import { ApplicationFailure, TemporalFailure } from '@temporalio/common';

export interface Reason {
  /** The error code (core/errors.ts), or what Temporal calls it. */
  readonly type: string;
  /** That it crossed; 'temporal' where none is known. */
  readonly boundary: string;
  readonly message: string;
}

export function rootCause(error: unknown): Reason {
  let inner = error;
  while (inner instanceof TemporalFailure && inner.cause !== undefined && !(inner instanceof ApplicationFailure)) inner = inner.cause;
  if (inner instanceof ApplicationFailure) {
    const [detail] = (inner.details ?? []) as { boundary?: string; remedy?: string }[];
    return { type: inner.type ?? 'FAILED', boundary: detail?.boundary ?? 'temporal', message: detail?.remedy === undefined ? inner.message : `${inner.message}. ${detail.remedy}` };
  }
  return { boundary: 'temporal', ...(inner instanceof Error ? { type: inner.name, message: inner.message } : { type: 'FAILED', message: String(inner) }) };
}
