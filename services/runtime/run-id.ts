import { StemmaError, type Boundary } from '../../core/errors.js';

/** A file name everywhere, a Temporal workflow, and with a prefix a Kafka topic. */
const RUN_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

/** INVALID at the boundary where the id came in. */
export function assertRunId(run: string, boundary: Boundary): string {
  if (RUN_ID.test(run)) return run;
  throw new StemmaError(boundary, 'INVALID', `"${run}" cannot be a run id`, 'Use letters, digits, dot, dash and underscore, at most 100.');
}
