/** SFT: many steps in one activity, until the stage ends, someone steers the run, or 30 s are over. */
import { closeSftBatch, type SftMember } from '../../core/batch/sft.js';
import { unpackU32 } from '../../core/log/bytes.js';
import type { SftStageRecipe } from '../../core/recipe/recipe.js';
import type { DatasetRow } from '../../proto/gen/stemma/v1/data.js';
import type { StageNeeds, StageRef } from '../../workflows/activities.js';
import { commitStep, publishResult, recordBatch } from '../training/learn-step.js';
import { ensureTrainer } from '../training/recover.js';
import { readRun, withStageSession, type StageSession, type TrainingDeps } from '../training/session.js';
import { openDataset } from './dataset.js';
import { rowOrder } from './row-order.js';

const ACTIVITY_BUDGET_MS = 30_000;

export async function advanceSft(deps: TrainingDeps, ref: StageRef): Promise<StageNeeds> {
  return withStageSession(deps, ref, async (session) => {
    const recipe = session.recipe as SftStageRecipe;
    const rows = await openDataset(deps, session, recipe.dataset);
    if (!isRows(rows)) return rows;
    const steps = rows.length === 0 ? 0 : recipe.steps;
    if (rows.length === 0) deps.logger.warn({ stage: ref.stage }, 'no verified rows to train on; the stage keeps its parent weights');
    return runSteps(deps, session, { recipe, rows, steps });
  });
}

interface SftWork {
  readonly recipe: SftStageRecipe;
  readonly rows: readonly DatasetRow[];
  readonly steps: number;
}

async function runSteps(deps: TrainingDeps, session: StageSession, work: SftWork): Promise<StageNeeds> {
  const startedMs = deps.nowMs();
  const steered = session.run.amendments.length;
  let state = await ensureTrainer(deps.trainer, session.stage.state, session.parent, deps.logger);
  await closeStep(deps, session, work, state.step + 1);
  while (state.step < work.steps) {
    // The next batch depends on no weights: it is closed while this one is computed.
    [state] = await Promise.all([commitStep(deps, session, state, []), closeStep(deps, session, work, state.step + 2)]);
    const run = await readRun(session.context);
    const interrupted = run.paused || run.stopRequested || run.amendments.length !== steered;
    if (interrupted || deps.nowMs() - startedMs > ACTIVITY_BUDGET_MS) return { kind: 'advance', step: state.step };
  }
  await publishResult(deps, session);
  return { kind: 'done', step: state.step };
}

async function closeStep(deps: TrainingDeps, session: StageSession, work: SftWork, step: number): Promise<void> {
  if (step > work.steps || session.stage.state.closed.has(step)) return;
  const recipe = session.recipeAt(work.recipe, step);
  // Counted, not multiplied: an amended batch size neither repeats nor skips a row.
  const consumed = [...session.stage.state.closed].reduce((rows, [closed, { members }]) => (closed < step ? rows + members.length : rows), 0);
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
