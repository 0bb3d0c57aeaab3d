/** Runs a whole recipe by calling the activities in the order the workflows would, without Temporal: for settling sizes and for fast tests. */
import type { Activities } from './compose.js';
import type { RunInput, StageNeeds, StageRef } from '../../workflows/activities.js';

export interface DriveOptions {
  readonly activities: Activities;
  readonly run: string;
  readonly input: RunInput;
  /** Stops after this stage. */
  readonly until?: string;
  readonly onStage?: (stage: string, what: 'trained' | 'evaluated', seconds: number) => void | Promise<void>;
}

export async function driveRun({ activities, run, input, until, onStage }: DriveOptions): Promise<string> {
  const plan = await activities.learner.openRun(run, input);
  for (const stage of plan.stages) {
    const ref = { run, stage: stage.id };
    let started = performance.now();
    const lap = async (what: 'trained' | 'evaluated'): Promise<void> => {
      await onStage?.(stage.id, what, (performance.now() - started) / 1000);
      started = performance.now();
    };
    await activities.worker.startStage(ref);
    await untilDone(activities, () => advanceOf(activities, stage.kind, ref));
    await activities.worker.finishStage(ref);
    await lap('trained');
    if (stage.evaluate) {
      await untilDone(activities, () => activities.learner.advanceEvaluation(ref));
      await lap('evaluated');
    }
    if (stage.id === until) return '';
  }
  return (await activities.worker.finishRun(run)).weightsHash;
}

function advanceOf(activities: Activities, kind: 'sft' | 'rl' | 'distill', ref: StageRef): Promise<StageNeeds> {
  if (kind === 'sft') return activities.learner.advanceSft(ref);
  return kind === 'rl' ? activities.learner.advanceRl(ref) : activities.distiller.advanceDistill(ref);
}

async function untilDone(activities: Activities, advance: () => Promise<StageNeeds>): Promise<void> {
  for (let needs = await advance(); needs.kind !== 'done'; needs = await advance()) {
    if (needs.kind === 'rollouts') await Promise.all(needs.shards.map((shard) => activities.rollout.rolloutShard(shard)));
  }
}
