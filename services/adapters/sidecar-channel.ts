/** What the three sidecar adapters share: how long a call may take, and reading answers that must be there. */
import { StemmaError, type Boundary } from '../../core/errors.js';

/** Answers at once unless the compute thread is busy: then it waits for what runs. */
export const QUICK_CALL_MS = 120_000;
/** Loading, scoring, stepping, writing blobs. A full-scale step is the longest. */
export const LONG_CALL_MS = 3_600_000;

/** A field the proto makes optional and the contract does not. CORRUPT when missing. */
export function required<T>(boundary: Boundary, value: T | undefined, what: string): T {
  if (value !== undefined) return value;
  throw new StemmaError(boundary, 'CORRUPT', `${boundary}: the answer has no ${what}`,
    'The sidecar and this program differ in version: set up again.');
}
