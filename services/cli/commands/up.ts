import { Command } from 'commander';
import { createLogger } from '../../runtime/logger.js';
import { EXIT_INTERRUPTED } from '../../runtime/shutdown.js';
import type { CliDeps } from '../deps.js';
import { logFileOf, sayAddresses } from '../run-here.js';

export function upCommand(deps: CliDeps): Command {
  return new Command('up')
    .description('open the platform and go on with every unfinished run, until Ctrl-C')
    .action(() => up(deps));
}

async function up(deps: CliDeps): Promise<void> {
  const config = deps.config();
  const file = logFileOf(config);
  const stopAsked = new AbortController();
  const shutdown = deps.listenForShutdown({
    onFirst: () => stopAsked.abort(),
    onSecond: () => deps.exitNow(EXIT_INTERRUPTED),
  });
  try {
    const platform = await (await deps.doors()).openPlatform({
      config, logger: createLogger({ service: 'all-in-one', level: config.logLevel, file }),
      onStart: (what) => deps.terminal.say(`  ${what}`),
    });
    try {
      sayAddresses(deps, platform, file);
      deps.terminal.say('Ready. Submit with `stemma run RECIPE` or from the Temporal UI with {"recipe":"tiny"}; Ctrl-C ends.');
      await aborted(stopAsked.signal);
      deps.terminal.say('Stopping; unfinished runs go on at the next `stemma up`.');
    } finally {
      await platform.close();
    }
  } finally {
    shutdown.dispose();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
