/** Runs whose log has no end: what this process owes work to. */
import { runStream } from '../../core/log/keys.js';
import type { RunLogs } from '../../core/ports.js';
import { runFold } from '../../core/run/run.js';
import { readFold } from '../runtime/record-fact.js';
import type { UnfinishedRun } from './start-runs.js';

export async function unfinishedRuns(logs: RunLogs): Promise<UnfinishedRun[]> {
  const all = await Promise.all((await logs.list()).map((run) => unfinished(logs, run)));
  return all.filter((run): run is UnfinishedRun => run !== undefined);
}

/** A log without its first event belongs to a submission that Temporal still has, or that was never made. */
async function unfinished(logs: RunLogs, run: string): Promise<UnfinishedRun | undefined> {
  const log = await logs.open(run, 'read');
  try {
    const { state } = await readFold(log, runStream(run), runFold);
    if (!state.created || state.end) return undefined;
    return { run, input: { recipe: state.created.recipe, seed: Number(state.created.seed) } };
  } finally {
    await log.close();
  }
}
