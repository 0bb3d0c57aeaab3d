/** SFT: many steps in one activity, until the stage ends, someone steers the run, or 30 s are over. */
import { closeSftBatch, type SftMember } from '../../core/batch/sft.js';
import { unpackU32 } from '../../core/log/bytes.js';
import type { TrainerState } from '../../core/ports.js';
import type { SftStageRecipe } from '../../core/recipe/recipe.js';
import { membersBefore } from '../../core/stage/stage.js';
import type { DatasetRow } from '../../proto/gen/stemma/v1/data.js';
import type { StageNeeds, StageRef } from '../../workflows/activities.js';
import { activityBoundary } from '../training/boundary.js';
import { publishResult, recordBatch, recordStep, snapshotIsDue, takeStep } from '../training/learn-step.js';
import { ensureTrainer } from '../training/recover.js';
import { withStageSession, type StageSession, type TrainingDeps } from '../training/session.js';
import { openDataset } from './dataset.js';
import { rowOrder } from './row-order.js';

export async function advanceSft(deps: TrainingDeps, ref: StageRef): Promise<StageNeeds> {
  return withStageSession(deps, ref, async (session) => {
    const recipe = session.recipe as SftStageRecipe;
    const rows = await openDataset(deps, session, recipe.dataset);
    if (!isRows(rows)) return rows;
    const steps = rows.length === 0 ? 0 : recipe.steps;
    if (rows.length === 0) session.logger.warn('no verified rows to train on; the stage keeps its parent weights');
    return runSteps(deps, session, { recipe, rows, steps });
  });
}

interface SftWork {
  readonly recipe: SftStageRecipe;
  readonly rows: readonly DatasetRow[];
  readonly steps: number;
}

async function runSteps(deps: TrainingDeps, session: StageSession, work: SftWork): Promise<StageNeeds> {
  const atBoundary = activityBoundary(deps, session);
  let state: TrainerState = await ensureTrainer(deps, session);
  let recorded: Promise<unknown> = Promise.resolve();
  await closeStep(deps, session, work, state.step + 1);
  while (state.step < work.steps) {
    // The next batch depends on no weights: it is closed while this one is computed. Nor does the next step wait for this
    // one's commit: nothing but the trainer, which can be folded again, sees its weights before.
    const step = state.step + 1;
    const [taken] = await Promise.all([takeStep(deps, session, state), closeStep(deps, session, work, step + 1), recorded]);
    state = taken.result;
    recorded = recordStep(deps, session, taken, []);
    recorded.catch(() => undefined); // Awaited below or with the next step.
    if (snapshotIsDue(session, step) || step === work.steps) await recorded;
    if (step < work.steps && await atBoundary()) {
      await recorded;
      return { kind: 'advance', step };
    }
  }
  await publishResult(deps, session);
  return { kind: 'done', step: state.step };
}

async function closeStep(deps: TrainingDeps, session: StageSession, work: SftWork, step: number): Promise<void> {
  if (step > work.steps || session.stage.state.closed.has(step)) return;
  const recipe = session.recipeAt(work.recipe, step);
  // Counted, not multiplied: an amended batch size neither repeats nor skips a row.
  const consumed = membersBefore(session.stage.state, step);
  const members = rowOrder(session.context.seed, session.ref.stage, work.rows.length, { batchSize: recipe.batchSize, consumed })
    .map(({ row, pass }): SftMember => {
      const data = work.rows[row];
      if (!data) throw new Error(`dataset has no row ${row}`);
      return { member: `training#${row}`, pass, domain: data.domain, tokens: unpackU32(data.tokens), mask: data.mask };
    });
  await recordBatch(deps, session, {
    step, recipe, closed: closeSftBatch(members, recipe), policyWeightsHashes: [], teacherWeightsHashes: {},
  });
}

function isRows(value: readonly DatasetRow[] | StageNeeds): value is readonly DatasetRow[] {
  return Array.isArray(value);
}
