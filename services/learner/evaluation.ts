/** Greedy accuracy of a stage's result on held-out tasks of every domain; its episodes are in no batch and no dataset. */
import { DOMAINS } from '../../core/environment.js';
import { StemmaError } from '../../core/errors.js';
import { runStream, type Payload } from '../../core/log/keys.js';
import { evaluationFigures } from '../../core/projection/figures.js';
import { roundsOf } from '../../core/stage/stage.js';
import type { StageNeeds, StageRef } from '../../workflows/activities.js';
import { recordFact } from '../runtime/record-fact.js';
import { finishedEpisodes, needRollouts, requestRound, type Finished } from '../training/requests.js';
import { withStageSession, type StageSession, type TrainingDeps } from '../training/session.js';

export async function advanceEvaluation(deps: TrainingDeps, ref: StageRef): Promise<StageNeeds> {
  return withStageSession(deps, ref, async (session) => {
    // After the last training step, so that no step number means two things.
    const step = session.recipe.steps + 1;
    const stage = session.run.stages.get(ref.stage);
    if (stage?.evaluation) return { kind: 'done', step };
    const result = stage?.result;
    if (!result) throw new StemmaError('log', 'NOT_FOUND', `stage ${ref.stage} has no result to evaluate`, 'Finish the stage first.');
    if (roundsOf(session.stage.state, step).length === 0) {
      return requestRound(session, {
        step, round: 0, purpose: 'evaluate', weightsHash: result.weightsHash, weights: result.weights,
        greedy: true, temperature: 1, protocol: '', tasks: heldOutTasks(session), samplesPerTask: 1,
      });
    }
    const finished = await finishedEpisodes(session.context.log, ref.run, roundsOf(session.stage.state, step));
    if (!finished) return needRollouts(session, step);
    const accuracy = accuracyOf(finished);
    await recordEvaluation(session, {
      $case: 'evaluationFinished',
      value: { stage: ref.stage, weightsHash: result.weightsHash, accuracy, spent: await deps.stopwatch.lap() },
    });
    session.figures = evaluationFigures(accuracy);
    return { kind: 'done', step };
  });
}

/** The time it took is in the fact, so a second attempt says it differently: the first one counts. */
async function recordEvaluation(session: StageSession, payload: Payload): Promise<void> {
  const { log, run } = session.context;
  try {
    await recordFact(log, { stream: runStream(run), run }, payload);
  } catch (error) {
    if (!(error instanceof StemmaError) || error.code !== 'HASH_MISMATCH') throw error;
  }
}

function heldOutTasks(session: StageSession): { domain: (typeof DOMAINS)[number]; task: string }[] {
  const { recipe, environments } = session.context;
  return DOMAINS.flatMap((domain) =>
    Array.from({ length: recipe.evaluation.tasksPerDomain }, (_, i) => ({ domain, task: environments[domain].taskId('evaluate', i, '') })));
}

/** An episode that failed for reasons of ours is not the model's mistake: it leaves the count. */
function accuracyOf(finished: readonly Finished[]): { domain: string; correct: number; total: number }[] {
  return DOMAINS.map((domain) => {
    const counted = finished.filter((e) => e.request.domain === domain && e.status !== 'failed');
    return { domain, correct: counted.filter((e) => e.correct).length, total: counted.length };
  });
}
