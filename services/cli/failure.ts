/** How a command fails: one clear message that says what to do, a non-zero exit, a stack only when asked for. */
import { StemmaError } from '../../core/errors.js';
import type { Terminal } from './terminal.js';

/** Exit code of a service that no new start would help before a person has corrected something: EX_CONFIG of sysexits.h. */
export const EXIT_FINAL = 78;

/** Thrown by a command that has said everything but `cause`, where it has one. */
export class Exit extends Error {
  constructor(readonly code: number, cause?: unknown) {
    super(`exit ${code}`, cause === undefined ? undefined : { cause });
  }
}

/** Node's own errors that a person can do something about. */
const SYSTEM_REMEDIES: { readonly [code: string]: string } = {
  ENOSPC: 'The disk is full: free some space, then run the same command again; it goes on from where it was.',
  EACCES: 'Check the permissions of that path, or set STEMMA_HOME to a directory you may write.',
  EROFS: 'That file system is read-only: set STEMMA_HOME to a directory you may write.',
  EADDRINUSE: 'The port is in use: stop the other program, or set the port in the environment (0 is any free one).',
  EMFILE: 'Too many open files: raise the limit with `ulimit -n 4096`.',
};

/** Says what is wrong and what to do; returns the exit code. */
export function explainFailure(terminal: Terminal, error: unknown, verbose: boolean): number {
  if (error instanceof Exit) {
    if (error.cause !== undefined) explainFailure(terminal, error.cause, verbose);
    return error.code;
  }
  const message = error instanceof Error ? error.message : String(error);
  const code = (error as { code?: unknown } | null)?.code;
  terminal.say(`stemma: ${message}`);
  if (error instanceof StemmaError) terminal.say(`→ ${error.remedy}`);
  else if (typeof code === 'string' && SYSTEM_REMEDIES[code] !== undefined) terminal.say(`→ ${SYSTEM_REMEDIES[code]}`);
  else if (!verbose) terminal.say('→ This is unexpected. Run the command again with --verbose to see where it happened.');
  if (verbose) terminal.say(stackOf(error));
  return 1;
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `\ncaused by ${stackOf(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}
