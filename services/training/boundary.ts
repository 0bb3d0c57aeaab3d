/** When an activity that could take one step after another returns to its workflow. */
import { readRun, type StageSession, type TrainingDeps } from './session.js';

const ACTIVITY_BUDGET_MS = 30_000;
const HELD_EVERY_MS = 1000;

/**
 * Asked after each step: true once someone steered the run, the activity was cancelled or 30 s are over.
 * CLAIM_LOST when another planner took over: what this one would still do counts for nothing.
 */
export function activityBoundary(deps: TrainingDeps, session: StageSession): () => Promise<boolean> {
  const startedMs = deps.nowMs();
  const steered = session.run.amendments.length;
  const signal = deps.cancellation();
  let heldMs = startedMs;
  return async () => {
    if (deps.nowMs() - heldMs > HELD_EVERY_MS) {
      await session.stage.assertHeld();
      heldMs = deps.nowMs();
    }
    const run = await readRun(session.context);
    return run.paused || run.stopRequested || run.amendments.length !== steered || signal.aborted || deps.nowMs() - startedMs > ACTIVITY_BUDGET_MS;
  };
}
