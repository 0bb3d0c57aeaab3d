import { Command, Option } from 'commander';
import type { StemmaError } from '../../../core/errors.js';
import type { ChildExit } from '../../runtime/child-process.js';
import { logUrl } from '../../runtime/config.js';
import { createLogger } from '../../runtime/logger.js';
import type { CliDeps } from '../deps.js';
import { countValue } from '../option-values.js';
import { logFileOf, sayAddresses } from '../run-here.js';
import { aborted, withShutdown } from '../with-shutdown.js';

interface Options {
  readonly distributed: boolean;
  readonly rollouts: number;
  readonly scorings: number;
}

export function upCommand(deps: CliDeps): Command {
  return new Command('up')
    .description('open the platform and go on with every unfinished run, until Ctrl-C')
    .option('--distributed', 'each service a process of its own, over a shared log', false)
    .addOption(new Option('--rollouts <n>', 'with --distributed: how many rollout workers').argParser(countValue).default(2))
    .addOption(new Option('--scorings <n>', 'with --distributed: how many teacher-scoring processes').argParser(countValue).default(1))
    .action((options: Options) => up(deps, options));
}

interface Opened {
  close(): Promise<void>;
}

function up(deps: CliDeps, options: Options): Promise<void> {
  return withShutdown(deps, async (stopAsked) => {
    const failed = new AbortController();
    const platform = await (options.distributed ? openDistributed(deps, options, stopAsked) : openHere(deps, stopAsked, (error) => failed.abort(error)))
      .catch((error: unknown) => {
        if (stopAsked.aborted) return undefined;
        throw error;
      });
    if (platform === undefined) return;
    try {
      deps.terminal.say('Ready. Submit with `stemma run RECIPE` or from the Temporal UI with {"recipe":"tiny"}; Ctrl-C ends.');
      await aborted(AbortSignal.any([stopAsked, failed.signal]));
      failed.signal.throwIfAborted();
      deps.terminal.say('Stopping; unfinished runs go on at the next `stemma up`.');
    } finally {
      await platform.close();
    }
  });
}

async function openHere(deps: CliDeps, stop: AbortSignal, onFailure: (error: StemmaError) => void): Promise<Opened> {
  const config = deps.config();
  const file = logFileOf(config);
  const platform = await (await deps.doors()).openPlatform({
    config, stop, onFailure, logger: createLogger({ service: 'all-in-one', level: config.logLevel, file }),
    onStart: (what) => deps.terminal.say(`  ${what}`),
  });
  sayAddresses(deps, platform, file);
  return platform;
}

async function openDistributed(deps: CliDeps, { rollouts, scorings }: Options, stop: AbortSignal): Promise<Opened> {
  const config = deps.config();
  const cluster = await (await deps.doors()).openCluster({
    config, rollouts, scorings, stop,
    onStart: (what) => deps.terminal.say(`  ${what}`),
    onDeath: (part, exit) => deps.terminal.say(`  ${part} ended (${howItEnded(exit)}): starting it again`),
  });
  const { temporalUi, gateway } = cluster.addresses;
  deps.terminal.say([`  Temporal UI  ${temporalUi}`, `  gateway      ${gateway}`, `  log          ${logUrl(cluster.config.log)}`, `  log lines    ${config.home}/roles/*/log.jsonl`].join('\n'));
  return cluster;
}

function howItEnded({ code, signal, lastLines }: ChildExit): string {
  const last = lastLines.at(-1);
  return [signal ?? `exit code ${code}`, ...(signal === null && last !== undefined ? [last] : [])].join(': ');
}
