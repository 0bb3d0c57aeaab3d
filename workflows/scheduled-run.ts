/**
 * What a schedule starts. Temporal gives such a workflow an id that ends in a time, nightly-2026-11-30T02:00:00Z, and a run's id
 * holds no colon: it is a file name and a topic. So the run is a child with an id of its own, nightly-2026-11-30T020000Z; this one
 * waits for it, so that a schedule that skips while the last run goes on skips, and says in the UI how it ended.
 */
import { setCurrentDetails, startChild, workflowInfo } from '@temporalio/workflow';
import type { RunInput } from './activities.js';
import { trainingRun, type RunOutcome } from './training-run.js';

export async function scheduledRun(input: RunInput): Promise<RunOutcome> {
  const { workflowId } = workflowInfo();
  const run = workflowId.replaceAll(':', '').replace(/[^A-Za-z0-9._-]/g, '-');
  setCurrentDetails(`Started run \`${run}\` and waits for its end. Steer the run, not this workflow.`);
  const child = await startChild(trainingRun, {
    workflowId: run, args: [input], workflowTaskTimeout: '5 seconds', workflowIdReusePolicy: 'REJECT_DUPLICATE',
    // The run is in the log: what becomes of the schedule's workflow is no reason to stop it.
    parentClosePolicy: 'ABANDON',
    staticSummary: `Stemma run ${run}, recipe ${input?.recipe}, by schedule`,
  });
  return child.result();
}
