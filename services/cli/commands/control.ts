import { Command } from 'commander';
import type { CliDeps } from '../deps.js';
import { settingValue } from '../option-values.js';
import type { ControlRequest } from '../platform.js';

const STEERING = {
  pause: { description: 'pause a run before its next step', done: 'Paused' },
  resume: { description: 'let a paused run go on', done: 'Resumed' },
  stop: { description: 'stop a run for good after its current step', done: 'Stop asked for' },
} as const;

/** pause, resume and stop: facts in the log of a run that a platform is working on. */
export function steeringCommands(deps: CliDeps): Command[] {
  return (Object.keys(STEERING) as (keyof typeof STEERING)[]).map((action) =>
    new Command(action)
      .description(STEERING[action].description)
      .argument('<run>', 'a run id')
      .action(async (run: string) => {
        await control(deps, { run, action });
        deps.terminal.say(`${STEERING[action].done}: ${run}. It is in the log.`);
      }));
}

export function amendCommand(deps: CliDeps): Command {
  return new Command('amend')
    .description('change a setting of a running stage from its next step on')
    .argument('<run>', 'a run id')
    .argument('<stage>', 'a stage id of its recipe')
    .argument('<path>', 'a setting, e.g. optimizer.learningRate')
    .argument('<value>', 'its new value, as JSON', settingValue)
    .action(async (run: string, stage: string, path: string, value: unknown) => {
      const { effectiveStep } = await control(deps, { run, action: 'amend', stage, path, value });
      deps.terminal.say(`From step ${effectiveStep} of ${stage} on, ${path} is ${JSON.stringify(value)}.`);
    });
}

async function control(deps: CliDeps, request: Omit<ControlRequest, 'updateId'>): Promise<{ readonly effectiveStep: number }> {
  const controls = await (await deps.doors()).connect(deps.config());
  try {
    return await controls.control({ ...request, updateId: deps.newId() });
  } finally {
    await controls.close();
  }
}
