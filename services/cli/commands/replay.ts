import { Command } from 'commander';
import type { RunLogs } from '../../../core/ports.js';
import { replayRun } from '../../replay/replay-run.js';
import type { ReplayReport } from '../../replay/replay-run.js';
import { createRunContexts } from '../../runtime/run-context.js';
import type { CliDeps } from '../deps.js';
import { Exit } from '../failure.js';
import { shortHash } from '../figures.js';
import type { Stores } from '../platform.js';
import { readRun } from '../run-reader.js';
import { withStores } from '../with-stores.js';

export function replayCommand(deps: CliDeps): Command {
  return new Command('replay')
    .description('recompute every learner step of a run from its log and compare the hashes')
    .argument('<run>', 'a run id')
    .action(async (run: string) => {
      const report = await withStores(deps, (stores) => replay(deps, stores, run));
      for (const { stage, steps, weightsHash } of report.stages) deps.terminal.print(`${stage.padEnd(24)} ${String(steps).padStart(5)} steps  ${shortHash(weightsHash)}`);
      deps.terminal.print(`${report.verdict}: ${report.steps} steps recomputed${report.difference === undefined ? '' : `; ${report.difference}`}`);
      if (report.verdict === 'DIVERGED') throw new Exit(1);
    });
}

async function replay(deps: CliDeps, stores: Stores, run: string): Promise<ReplayReport> {
  await readRun(stores, run, 'stages');
  const { trainer, close } = await (await deps.doors()).openCompute(deps.config());
  try {
    const context = await createRunContexts(readOnly(stores.logs), stores.blobs).get(run);
    return await replayRun({ trainer, blobs: stores.blobs, onStep: (stage, step, of) => tick(deps, stage, step, of) }, context);
  } finally {
    await close();
  }
}

/** Contexts open logs to write; a replay must not take the writer's lock. */
function readOnly(logs: RunLogs): RunLogs {
  return { open: (run) => logs.open(run, 'read'), list: () => logs.list() };
}

function tick(deps: CliDeps, stage: string, step: number, of: number): void {
  if (deps.terminal.isTty) deps.terminal.paint(`\r\u001b[K${stage}: step ${step} of ${of}${step === of ? '\n' : ''}`);
}
