import { StemmaError } from '../../../core/errors.js';

/** A file name everywhere, and with a prefix a Kafka topic. */
const RUN_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

export function assertRun(run: string): string {
  if (RUN_ID.test(run)) return run;
  throw new StemmaError('log', 'INVALID', `"${run}" cannot be a run id`, 'Use letters, digits, dot, dash and underscore, at most 100.');
}
