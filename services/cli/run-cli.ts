import { CommanderError } from 'commander';
import type { CliDeps } from './deps.js';
import { explainFailure } from './failure.js';
import { createProgram } from './program.js';

/** `args` without node and script. Returns the exit code and never throws. */
export async function runCli(deps: CliDeps, args: readonly string[]): Promise<number> {
  const program = createProgram(deps);
  try {
    await program.parseAsync([...args], { from: 'user' });
    return 0;
  } catch (error) {
    // commander has said what is wrong with the arguments, or printed the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode;
    return explainFailure(deps.terminal, error, args.includes('--verbose'));
  }
}
