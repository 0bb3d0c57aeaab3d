import { Argument, Command } from 'commander';
import { ROLES, type Role } from '../../roles/role.js';
import { createLogger } from '../../runtime/logger.js';
import type { CliDeps } from '../deps.js';
import { aborted, withShutdown } from '../with-shutdown.js';

export function serveCommand(deps: CliDeps): Command {
  return new Command('serve')
    .description('one service in this process, over a shared log; see docs/distributed.md')
    .addArgument(new Argument('<role>', 'which one').choices(ROLES))
    .action((role: Role) => serve(deps, role));
}

async function serve(deps: CliDeps, role: Role): Promise<void> {
  const config = deps.config();
  await withShutdown(deps, async (stopAsked) => {
    const failed = new AbortController();
    const ended = AbortSignal.any([stopAsked, failed.signal]);
    const open = await (await deps.doors()).openRole({
      role, config, logger: createLogger({ service: role, level: config.logLevel, file: config.logFile }),
      onFailure: (error) => failed.abort(error),
    });
    try {
      deps.terminal.print(open.line);
      await aborted(ended);
    } finally {
      await open.close();
    }
    if (ended.reason instanceof Error && ended.reason.name === 'StemmaError') throw ended.reason;
  });
}
