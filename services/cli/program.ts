/** The commands, put together. */
import { Command } from 'commander';
import { amendCommand, steeringCommands } from './commands/control.js';
import { forkCommand } from './commands/fork.js';
import { diffCommand } from './commands/diff.js';
import { exportCommand } from './commands/export.js';
import { gcCommand } from './commands/gc.js';
import { kafkaCommand } from './commands/kafka.js';
import { keysCommand } from './commands/keys.js';
import { lineageCommand } from './commands/lineage.js';
import { quickstartCommand } from './commands/quickstart.js';
import { replayCommand } from './commands/replay.js';
import { runCommand } from './commands/run.js';
import { serveCommand } from './commands/serve.js';
import { statusCommand } from './commands/status.js';
import { upCommand } from './commands/up.js';
import { verifyCommand } from './commands/verify.js';
import { watchCommand } from './commands/watch.js';
import type { CliDeps } from './deps.js';

/** `--log` is an option of every command that looks at events, and stronger than STEMMA_LOG. */
function withLogOption(command: Command, choose: (log: string) => void): Command {
  return command.option('--log <url>', 'where the events are: kafka://host:port[,host:port] (default: STEMMA_LOG, else embedded)')
    .hook('preAction', (_, called) => {
      const { log } = called.opts<{ log?: string }>();
      if (log !== undefined) choose(log);
    });
}

export function createProgram(outer: CliDeps): Command {
  const chosen: { STEMMA_LOG?: string; STEMMA_PROFILE?: string } = {};
  const deps: CliDeps = { ...outer, config: () => outer.config(chosen) };
  const program = new Command('stemma')
    .description('Trains agents by SFT, domain teachers and multi-teacher distillation; every fact of a run is an event in a durable log.')
    .option('--verbose', 'stacks and causes of errors', false)
    .option('--profile <file>', 'settings as NAME=value lines, weaker than the environment; default STEMMA_PROFILE')
    .hook('preAction', (program) => {
      const { profile } = program.opts<{ profile?: string }>();
      if (profile !== undefined) chosen.STEMMA_PROFILE = profile;
    })
    .showHelpAfterError('(see --help)')
    .configureOutput({ writeOut: (text) => deps.terminal.print(text.trimEnd()), writeErr: (text) => deps.terminal.say(text.trimEnd()) });
  const commands = [
    quickstartCommand(deps), upCommand(deps), serveCommand(deps), runCommand(deps), statusCommand(deps), watchCommand(deps),
    ...steeringCommands(deps), amendCommand(deps),
    replayCommand(deps), verifyCommand(deps), diffCommand(deps), lineageCommand(deps), forkCommand(deps), exportCommand(deps), gcCommand(deps),
  ];
  for (const command of commands) withLogOption(command, (url) => { chosen.STEMMA_LOG = url; });
  for (const command of [...commands, kafkaCommand(deps), keysCommand(deps)]) program.addCommand(command.exitOverride().copyInheritedSettings(program));
  return program.exitOverride();
}
