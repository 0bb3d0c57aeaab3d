/** The commands, put together. */
import { Command } from 'commander';
import { amendCommand, steeringCommands } from './commands/control.js';
import { forkCommand } from './commands/fork.js';
import { exportCommand } from './commands/export.js';
import { lineageCommand } from './commands/lineage.js';
import { quickstartCommand } from './commands/quickstart.js';
import { replayCommand } from './commands/replay.js';
import { runCommand } from './commands/run.js';
import { statusCommand } from './commands/status.js';
import { upCommand } from './commands/up.js';
import { verifyCommand } from './commands/verify.js';
import { watchCommand } from './commands/watch.js';
import type { CliDeps } from './deps.js';

export function createProgram(deps: CliDeps): Command {
  const program = new Command('stemma')
    .description('Trains agents by SFT, domain teachers and multi-teacher distillation; every fact of a run is an event in a durable log.')
    .option('--verbose', 'stacks and causes of errors', false)
    .showHelpAfterError('(see --help)')
    .configureOutput({ writeOut: (text) => deps.terminal.print(text.trimEnd()), writeErr: (text) => deps.terminal.say(text.trimEnd()) });
  const commands = [
    quickstartCommand(deps), upCommand(deps), runCommand(deps), statusCommand(deps), watchCommand(deps),
    ...steeringCommands(deps), amendCommand(deps),
    replayCommand(deps), verifyCommand(deps), lineageCommand(deps), forkCommand(deps), exportCommand(deps),
  ];
  for (const command of commands) program.addCommand(command.exitOverride().copyInheritedSettings(program));
  return program.exitOverride();
}
