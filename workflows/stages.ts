/** The stages of the recipe, one workflow type a kind, so that the Temporal UI tells them apart. */
import { ContinueAsNew, getExternalWorkflowHandle, isCancellation, patched } from '@temporalio/workflow';
import type { StageRef } from './activities.js';
import { describeInSearch } from './attributes.js';
import { stepped } from './messages.js';
import { distiller, learner, run } from './proxies.js';
import { driveStage, type StageInput, type StageLoop, type StageOutcome, type Telling } from './stage-loop.js';

export async function sftStage(input: StageInput): Promise<StageOutcome> {
  return trainingStage(input, (summary) => learner(summary).advanceSft);
}

export async function rlStage(input: StageInput): Promise<StageOutcome> {
  return trainingStage(input, (summary) => learner(summary).advanceRl);
}

export async function distillStage(input: StageInput): Promise<StageOutcome> {
  return trainingStage(input, (summary) => distiller(summary).advanceDistill);
}

/** Greedy episodes on held-out tasks with the finished stage's weights. */
export async function evaluate(input: StageInput): Promise<StageOutcome> {
  return telling(input, (tell) => driveStage(input, { advance: (summary) => learner(summary).advanceEvaluation, finishesStep: false, tell }));
}

async function trainingStage(input: StageInput, advance: StageLoop['advance']): Promise<StageOutcome> {
  const ref: StageRef = { run: input.run, stage: input.stage };
  return telling(input, async (tell) => {
    if (!input.continued) await run(`start stage ${input.stage}`).startStage(ref);
    const outcome = await driveStage(input, { advance, finishesStep: true, tell });
    if (outcome.finished) await run(`finish stage ${input.stage}`).finishStage(ref);
    return outcome;
  });
}

/** The stage's status in search, to its end. */
async function telling(input: StageInput, work: (tell: Telling) => Promise<StageOutcome>): Promise<StageOutcome> {
  const tell = introduce(input);
  try {
    const outcome = await work(tell);
    tell.status(outcome.finished ? 'finished' : 'stopped');
    return outcome;
  } catch (error) {
    if (!(error instanceof ContinueAsNew)) tell.status(isCancellation(error) ? 'stopped' : 'failed');
    throw error;
  }
}

/** Histories of earlier versions hold nothing of what a stage tells. */
function introduce(input: StageInput): Telling {
  describeInSearch({ stage: input.stage, ...(input.domain === undefined ? {} : { domain: input.domain }) });
  if (!patched('stage-tells')) return { status: () => undefined, steps: () => undefined };
  return {
    status: (status) => describeInSearch({ status }),
    // A run that is gone, or a stage that a test drives alone.
    steps: (said) => void getExternalWorkflowHandle(input.run).signal(stepped, said).catch(() => undefined),
  };
}

/** The child workflow of each kind of stage. */
export const STAGE_WORKFLOWS = { sft: sftStage, rl: rlStage, distill: distillStage } as const;
