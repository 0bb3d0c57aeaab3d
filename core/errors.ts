/**
 * The error model on one page: which boundary was crossed, whether trying again can help,
 * and what to do next. The decision is made where the error is thrown; edges only read it.
 */

export const BOUNDARIES = [
  'recipe', 'log', 'blob', 'sampler', 'scorer', 'trainer', 'environment', 'temporal', 'gateway', 'setup', 'kubernetes',
] as const;
export type Boundary = (typeof BOUNDARIES)[number];

export const ERROR_CODES = [
  // retriable: the same call may succeed later
  'UNAVAILABLE', 'TIMEOUT', 'WEIGHTS_NOT_LOADED', 'WRONG_PARENT', 'CLAIM_LOST',
  // nobody classified it: may be a passing one, so a bounded number of tries (services/runtime/activity-errors.ts)
  'INTERNAL',
  // final: the caller or a person must change something
  'INVALID', 'NOT_FOUND', 'CORRUPT', 'HASH_MISMATCH', 'DISK_FULL', 'LOCKED', 'UNSUPPORTED', 'DIVERGED', 'EXHAUSTED', 'UNAUTHENTICATED', 'FORBIDDEN',
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

const RETRIABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'UNAVAILABLE', 'TIMEOUT', 'WEIGHTS_NOT_LOADED', 'WRONG_PARENT', 'CLAIM_LOST',
]);

/** Of a blob that may come back from a copy. */
const MISSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['NOT_FOUND', 'CORRUPT']);

export class StemmaError extends Error {
  readonly boundary: Boundary;
  readonly code: ErrorCode;
  /** What the reader can do about it, one sentence. */
  readonly remedy: string;

  // eslint-disable-next-line max-params -- the optional last one is Error's own `cause`
  constructor(boundary: Boundary, code: ErrorCode, message: string, remedy: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'StemmaError';
    this.boundary = boundary;
    this.code = code;
    this.remedy = remedy;
  }

  get retriable(): boolean {
    return RETRIABLE.has(this.code);
  }

  /** Final for whoever asked, but a person can mend it while the work is tried again: a run waits instead of ending. */
  get mendable(): boolean {
    return this.code === 'DISK_FULL' || (this.boundary === 'blob' && MISSING.has(this.code));
  }
}
