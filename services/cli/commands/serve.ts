import { Argument, Command } from 'commander';
import { StemmaError } from '../../../core/errors.js';
import { ROLES, type Role } from '../../roles/role.js';
import type { Config } from '../../runtime/config.js';
import { createLogger } from '../../runtime/logger.js';
import type { CliDeps } from '../deps.js';
import { Exit, EXIT_FINAL } from '../failure.js';
import { aborted, withShutdown } from '../with-shutdown.js';

export function serveCommand(deps: CliDeps): Command {
  return new Command('serve')
    .description('one service in this process, over a shared log; see docs/distributed.md')
    .addArgument(new Argument('<role>', 'which one').choices(ROLES))
    .action((role: Role) => serve(deps, role).catch((error: unknown) => { throw isFinal(error) ? new Exit(EXIT_FINAL, error) : error; }));
}

/** A new start would end the same way. */
function isFinal(error: unknown): boolean {
  return error instanceof StemmaError && !error.retriable && !error.mendable && error.code !== 'INTERNAL';
}

async function serve(deps: CliDeps, role: Role): Promise<void> {
  const config = deps.config();
  await withShutdown(deps, async (stopAsked) => {
    const failed = new AbortController();
    const ended = AbortSignal.any([stopAsked, failed.signal]);
    const open = await opened(deps, { role, config, stop: stopAsked, onFailure: (error) => failed.abort(error) });
    if (open === undefined) return;
    try {
      deps.terminal.print(open.line);
      await aborted(ended);
    } finally {
      await open.close();
    }
    if (ended.reason instanceof StemmaError) throw ended.reason;
  });
}

interface Opening {
  readonly role: Role;
  readonly config: Config;
  readonly stop: AbortSignal;
  readonly onFailure: (error: StemmaError) => void;
}

/** Undefined where it was told to stop before it was open. */
async function opened(deps: CliDeps, opening: Opening) {
  const { role, config, stop } = opening;
  try {
    return await (await deps.doors()).openRole({
      ...opening, logger: createLogger({ service: role, level: config.logLevel, file: config.logFile }),
      onWait: (why) => deps.terminal.print(`${role} waits: ${why}`),
    });
  } catch (error) {
    if (stop.aborted) return undefined;
    throw error;
  }
}
