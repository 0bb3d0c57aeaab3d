import { Command } from 'commander';
import type { CliDeps } from '../deps.js';
import { durationText, hashText } from '../figures.js';
import { finalTable } from '../final-table.js';
import { accuracyByRole, lastWeights } from '../outcome.js';
import type { Stores } from '../platform.js';
import { linesOf } from '../progress-view.js';
import { readRun } from '../run-reader.js';
import { withStores } from '../with-stores.js';

export function statusCommand(deps: CliDeps): Command {
  return new Command('status')
    .description('list all runs, or say how one stands')
    .argument('[run]', 'a run id')
    .action((run: string | undefined) => withStores(deps, (stores) => (run === undefined ? listRuns(deps, stores) : showRun(deps, stores, run))));
}

async function listRuns(deps: CliDeps, stores: Stores): Promise<void> {
  const runs = await stores.logs.list();
  if (runs.length === 0) deps.terminal.say('No runs yet: start with `npm run quickstart`.');
  for (const run of runs) {
    const { progress } = await readRun(stores, run, 'stages');
    const done = progress.stages.filter((stage) => stage.status === 'finished').length;
    deps.terminal.print([run.padEnd(24), progress.status.padEnd(9), `${done}/${progress.stages.length} stages`, durationText(progress.spent.wallSeconds)].join('  '));
  }
}

async function showRun(deps: CliDeps, stores: Stores, run: string): Promise<void> {
  const snapshot = await readRun(stores, run, 'episodes');
  const { progress } = snapshot;
  const { wallSeconds, computeSeconds, orchestrationSeconds, waitingSeconds } = progress.spent;
  const { print } = deps.terminal;
  print(`run ${run}: ${progress.status}${progress.detail === '' ? '' : ` (${progress.detail})`}; recipe ${progress.recipe}, seed ${progress.seed}`);
  for (const line of linesOf(snapshot)) print(`${line.finished ? '✓' : '▸'} ${line.text}`);
  print(`time ${durationText(wallSeconds)}: compute ${durationText(computeSeconds)}, orchestration ${durationText(orchestrationSeconds)}, waiting ${durationText(waitingSeconds)}`);
  if (progress.status === 'finished') print(`weights ${hashText(lastWeights(snapshot))}`);
  if (progress.accuracy.length > 0) print(`\n${finalTable(accuracyByRole(snapshot))}`);
}
