import { Argument, Command } from 'commander';
import { ROLES, type Role } from '../../roles/role.js';
import { createLogger } from '../../runtime/logger.js';
import { EXIT_INTERRUPTED } from '../../runtime/shutdown.js';
import type { CliDeps } from '../deps.js';

export function serveCommand(deps: CliDeps): Command {
  return new Command('serve')
    .description('one service in this process, over a shared log; see docs/distributed.md')
    .addArgument(new Argument('<role>', 'which one').choices(ROLES))
    .action((role: Role) => serve(deps, role));
}

async function serve(deps: CliDeps, role: Role): Promise<void> {
  const config = deps.config();
  const ended = new AbortController();
  const shutdown = deps.listenForShutdown({
    onFirst: () => ended.abort(),
    onSecond: () => deps.exitNow(EXIT_INTERRUPTED),
  });
  try {
    const open = await (await deps.doors()).openRole({
      role, config, logger: createLogger({ service: role, level: config.logLevel, file: config.logFile }),
      onFailure: (error) => ended.abort(error),
    });
    try {
      deps.terminal.print(open.line);
      await untilAborted(ended.signal);
    } finally {
      await open.close();
    }
    if (ended.signal.reason instanceof Error && ended.signal.reason.name === 'StemmaError') throw ended.signal.reason;
  } finally {
    shutdown.dispose();
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
