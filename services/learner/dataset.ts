/** Datasets are facts: made once, sealed, then read back from their blob. */
import { StemmaError } from '../../core/errors.js';
import { packU32 } from '../../core/log/bytes.js';
import type { DatasetRecipe } from '../../core/recipe/recipe.js';
import { roundsOf } from '../../core/stage/stage.js';
import { Dataset, type DatasetRow } from '../../proto/gen/stemma/v1/data.js';
import type { StageNeeds } from '../../workflows/activities.js';
import { demonstrationRows } from './demonstration-rows.js';
import { finishedEpisodes, needRollouts, requestRound } from '../training/requests.js';
import type { StageSession, TrainingDeps } from '../training/session.js';

const NAME = 'training';
/** Step number under which a stage requests the episodes its dataset is made from. */
export const DATASET_STEP = 0;

/** The sealed rows, or the rollouts that are needed first. */
export async function openDataset(deps: TrainingDeps, session: StageSession, recipe: DatasetRecipe): Promise<readonly DatasetRow[] | StageNeeds> {
  const sealed = session.stage.state.datasets.get(NAME);
  if (sealed?.blob) return Dataset.decode(await deps.blobs.get(sealed.blob)).rows;
  if (recipe.source === 'demonstrations') {
    return seal(deps, session, demonstrationRows(session.context, recipe), []);
  }
  return sampleDataset(deps, session, recipe);
}

type SelfSampled = Extract<DatasetRecipe, { source: 'self-sampled' }>;

/** Rejection sampling: the model's own trajectories, kept where the verifier accepts them. */
async function sampleDataset(deps: TrainingDeps, session: StageSession, recipe: SelfSampled): Promise<readonly DatasetRow[] | StageNeeds> {
  const { state } = session.stage;
  if (roundsOf(state, DATASET_STEP).length === 0) {
    const model = session.run.stages.get(recipe.model)?.result;
    if (!model?.weights) throw new StemmaError('log', 'NOT_FOUND', `stage ${recipe.model} has no result to sample from`, 'Run that stage first.');
    const environment = session.context.environments[recipe.domain];
    return requestRound(session, {
      step: DATASET_STEP, round: 0, purpose: 'dataset', weightsHash: model.weightsHash, weights: model.weights,
      greedy: false, temperature: recipe.temperature, protocol: recipe.protocol, samplesPerTask: recipe.samplesPerTask,
      tasks: Array.from({ length: recipe.tasks }, (_, i) => ({ domain: recipe.domain, task: environment.taskId('train', i, recipe.variant) })),
    });
  }
  const finished = await finishedEpisodes(session.context.log, session.ref.run, roundsOf(state, DATASET_STEP));
  if (!finished) return needRollouts(session, DATASET_STEP);
  const kept = finished.filter((e) => e.status === 'completed' && e.correct);
  await session.stage.record(...finished.filter((e) => e.status !== 'failed' && !kept.includes(e)).map((e) => ({
    $case: 'episodeDropped' as const, value: { episode: e.request.episode, reason: 'incorrect' },
  })));
  const rows = kept.map(({ request, trajectory: { tokens, mask } }): DatasetRow => {
    return { domain: request.domain, task: request.task, tokens: packU32(tokens), mask };
  });
  return seal(deps, session, rows, kept.map((e) => e.request.episode));
}

async function seal(deps: TrainingDeps, session: StageSession, rows: readonly DatasetRow[], sourceEpisodes: string[]): Promise<readonly DatasetRow[]> {
  const blob = await deps.blobs.put(Dataset.encode({ rows: [...rows] }).finish());
  await session.stage.record({ $case: 'datasetSealed', value: { dataset: NAME, blob, rows: rows.length, sourceEpisodes } });
  return rows;
}
