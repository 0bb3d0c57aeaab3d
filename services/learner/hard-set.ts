/**
 * The tool teacher's hard set (paper §3.2.4): tasks that the initial model nearly solves — outcome failed,
 * enough process rubrics satisfied — sampled once, sealed, and reused across rollout rounds.
 */
import { satisfiedShare } from '../../core/episode/episode.js';
import type { RlStageRecipe } from '../../core/recipe/recipe.js';
import { roundsOf } from '../../core/stage/stage.js';
import { Dataset } from '../../proto/gen/stemma/v1/data.js';
import type { StageNeeds } from '../../workflows/activities.js';
import { finishedEpisodes, needRollouts, requestRound, type Finished } from '../training/requests.js';
import type { StageSession, TrainingDeps } from '../training/session.js';
import { DATASET_STEP } from './dataset.js';

const NAME = 'hard-set';
type HardSet = Extract<RlStageRecipe['tasks'], { source: 'hard-set' }>;

/** Task ids, or the rollouts needed to find them. */
export async function openHardSet(deps: TrainingDeps, session: StageSession, recipe: RlStageRecipe, hardSet: HardSet): Promise<readonly string[] | StageNeeds> {
  const sealed = session.stage.state.datasets.get(NAME);
  if (sealed?.blob) return Dataset.decode(await deps.blobs.get(sealed.blob)).rows.map((row) => row.task);
  const rounds = roundsOf(session.stage.state, DATASET_STEP);
  if (rounds.length === 0) {
    const environment = session.context.environments[recipe.domain];
    return requestRound(session, {
      step: DATASET_STEP, round: 0, purpose: 'dataset', protocol: '', greedy: false, temperature: recipe.temperature,
      weightsHash: session.parent.weightsHash, weights: session.parent.weights, samplesPerTask: hardSet.samplesPerTask,
      tasks: Array.from({ length: hardSet.candidates }, (_, i) => ({ domain: recipe.domain, task: environment.taskId('train', i, recipe.variant) })),
    });
  }
  const finished = await finishedEpisodes(session.context.log, session.ref.run, roundsOf(session.stage.state, DATASET_STEP));
  if (!finished) return needRollouts(session, DATASET_STEP);
  return sealHardSet(deps, session, recipe, { hardSet, finished });
}

async function sealHardSet(
  deps: TrainingDeps, session: StageSession, recipe: RlStageRecipe, found: { hardSet: HardSet; finished: readonly Finished[] },
): Promise<readonly string[]> {
  const tasks = hardTasks(found.finished, found.hardSet);
  const chosen = new Set(tasks);
  const sources = found.finished.filter((e) => e.status !== 'failed' && chosen.has(e.request.task));
  await session.stage.record(...found.finished.filter((e) => e.status !== 'failed' && !chosen.has(e.request.task)).map((e) => ({
    $case: 'episodeDropped' as const, value: { episode: e.request.episode, reason: 'not-near-miss' },
  })));
  const rows = tasks.map((task) => ({ domain: recipe.domain, task, tokens: new Uint8Array(), mask: new Uint8Array() }));
  const blob = await deps.blobs.put(Dataset.encode({ rows }).finish());
  await session.stage.record({
    $case: 'datasetSealed',
    value: { dataset: NAME, blob, rows: rows.length, sourceEpisodes: sources.map((e) => e.request.episode) },
  });
  return tasks;
}

/**
 * Tasks with at least one near miss, those with most first, ties in request order; topped up with tasks that have
 * any failure, then any task, so that the set has its size.
 */
export function hardTasks(finished: readonly Finished[], hardSet: HardSet): string[] {
  const score = new Map<string, { near: number; failed: number }>();
  for (const episode of finished) {
    const entry = score.get(episode.request.task) ?? { near: 0, failed: 0 };
    if (episode.status !== 'failed' && !episode.correct) {
      entry.failed++;
      if (satisfiedShare(episode.state.rubrics) >= hardSet.minRubrics) entry.near++;
    }
    score.set(episode.request.task, entry);
  }
  return [...score]
    .sort(([, a], [, b]) => b.near - a.near || b.failed - a.failed)
    .slice(0, hardSet.size)
    .map(([task]) => task);
}
