/** The stages of the recipe, one workflow type a kind, so that the Temporal UI tells them apart. */
import type { StageRef } from './activities.js';
import { describeInSearch } from './attributes.js';
import { distiller, learner, run } from './proxies.js';
import { driveStage, type StageInput, type StageLoop, type StageOutcome } from './stage-loop.js';

export async function sftStage(input: StageInput): Promise<StageOutcome> {
  return trainingStage(input, learner.advanceSft);
}

export async function rlStage(input: StageInput): Promise<StageOutcome> {
  return trainingStage(input, learner.advanceRl);
}

export async function distillStage(input: StageInput): Promise<StageOutcome> {
  return trainingStage(input, distiller.advanceDistill);
}

/** Greedy episodes on held-out tasks with the finished stage's weights. */
export async function evaluate(input: StageInput): Promise<StageOutcome> {
  introduce(input);
  return driveStage(input, { advance: learner.advanceEvaluation, finishesStep: false });
}

async function trainingStage(input: StageInput, advance: StageLoop['advance']): Promise<StageOutcome> {
  introduce(input);
  const ref: StageRef = { run: input.run, stage: input.stage };
  if (!input.continued) await run.startStage(ref);
  const outcome = await driveStage(input, { advance, finishesStep: true });
  if (outcome.finished) await run.finishStage(ref);
  return outcome;
}

function introduce(input: StageInput): void {
  describeInSearch({ stage: input.stage, ...(input.domain === undefined ? {} : { domain: input.domain }) });
}

/** The child workflow of each kind of stage. */
export const STAGE_WORKFLOWS = { sft: sftStage, rl: rlStage, distill: distillStage } as const;
