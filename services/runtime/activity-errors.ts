/** The edge between StemmaError and Temporal: an error says itself whether it can be retried; Temporal's UI shows code, boundary and remedy. */
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { StemmaError } from '../../core/errors.js';

/** What failure.details[0] holds. */
export interface FailureDetail {
  readonly boundary: string;
  readonly remedy: string;
}

/** An error nobody classified may be a passing one; the same bug five times in a row is a bug. */
const UNKNOWN_ERROR_ATTEMPTS = 5;

/** `attempt` is 1-based. Temporal's own failures pass through. */
export function toApplicationFailure(error: unknown, attempt = 1): ApplicationFailure | CancelledFailure {
  if (error instanceof ApplicationFailure || error instanceof CancelledFailure) return error;
  if (error instanceof StemmaError) {
    const detail: FailureDetail = { boundary: error.boundary, remedy: error.remedy };
    const mayPass = error.retriable || error.mendable || (error.code === 'INTERNAL' && attempt < UNKNOWN_ERROR_ATTEMPTS);
    return ApplicationFailure.create({ message: error.message, type: error.code, nonRetryable: !mayPass, details: [detail], cause: error });
  }
  const known = error instanceof Error ? error : new Error(String(error));
  return ApplicationFailure.create({ message: known.message, type: known.name, nonRetryable: attempt >= UNKNOWN_ERROR_ATTEMPTS, cause: known });
}
