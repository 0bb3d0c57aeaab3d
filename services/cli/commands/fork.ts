import { Command, InvalidArgumentError } from 'commander';
import { StemmaError } from '../../../core/errors.js';
import type { ForkInput } from '../../../workflows/activities.js';
import { planFork } from '../../coordinator/fork-run.js';
import type { CliDeps } from '../deps.js';
import { chooseFork } from '../fork-choice.js';
import { settingValue } from '../option-values.js';
import { readRun } from '../run-reader.js';
import { startRun } from '../start-run.js';
import { withStores } from '../with-stores.js';

interface Setting {
  readonly path: string;
  readonly value: unknown;
}

interface Options {
  readonly at: number;
  readonly stage?: string;
  readonly set: readonly Setting[];
  readonly fresh: boolean;
  readonly json: boolean;
}

export function forkCommand(deps: CliDeps): Command {
  return new Command('fork')
    .description('start a new run that shares a run\'s history up to a step and goes on with other settings')
    .argument('<run>', 'a run id')
    .requiredOption('--at <step>', 'the last shared step of the stage; 0 is its start', stepValue)
    .option('--stage <id>', 'the stage to fork in (default: the last that has started)')
    .option('--set <path=value>', 'a setting of that stage from the next step on, e.g. sva.topK=32; may be repeated', collectSetting, [])
    .option('--fresh', 'a new fork, whatever like it is unfinished', false)
    .option('--json', 'in this process: progress on stderr, one JSON line on stdout at the end', false)
    .action((run: string, options: Options) => fork(deps, run, options));
}

async function fork(deps: CliDeps, parent: string, options: Options): Promise<void> {
  const { input, plan, choice } = await withStores(deps, async (stores) => {
    const { view } = await readRun(stores, parent, 'stages');
    const stage = options.stage ?? [...view.run.stages.keys()].at(-1) ?? '';
    const wanted: ForkInput = { parent, stage, step: options.at, settings: options.set };
    const planned = await planFork(stores, wanted);
    return { input: planned.fork, plan: planned, choice: await chooseFork(stores, planned.fork, options.fresh) };
  });
  deps.terminal.say(`Fork ${choice.run} of ${parent} at ${input.stage} step ${input.step}${input.settings.map(({ path, value }) => `, ${path} = ${JSON.stringify(value)}`).join('')}.`);
  const { recipe, seed } = plan;
  await startRun(deps, { recipe, recipeName: recipe.name, seed: Number(seed), fresh: false, json: options.json, fork: { run: choice.run, input } });
}

function stepValue(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('expected a step number from 0.');
  return Number(text);
}

function collectSetting(text: string, before: readonly Setting[]): Setting[] {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('expected PATH=VALUE, e.g. sva.topK=32.');
  const path = text.slice(0, at);
  if (before.some((setting) => setting.path === path)) throw new StemmaError('gateway', 'INVALID', `--set gives ${path} twice`, 'Give each setting one value.');
  return [...before, { path, value: settingValue(text.slice(at + 1)) }];
}
