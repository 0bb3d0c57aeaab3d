/**
 * RL: each call does what the log says is next — request rollouts, ask for more (dynamic sampling, replacements),
 * close the batch, step, commit — and says which rollouts it waits for. Interrupted anywhere, it goes on from the log.
 */
import { closeRlBatch, type RlMember } from '../../core/batch/rl.js';
import { satisfiedShare } from '../../core/episode/episode.js';
import { StemmaError } from '../../core/errors.js';
import type { TrainerState } from '../../core/ports.js';
import type { RlStageRecipe } from '../../core/recipe/recipe.js';
import { groupOutcomes, isInformative, selectGroups, withoutUnscored, type Group } from '../../core/stage/groups.js';
import { promptsAsked, roundsOf } from '../../core/stage/stage.js';
import type { EpisodeDropped } from '../../proto/gen/stemma/v1/events.js';
import type { StageNeeds, StageRef } from '../../workflows/activities.js';
import { episodeStats } from '../training/episode-stats.js';
import { commitStep, policyOf, recordBatch, type Policy } from '../training/learn-step.js';
import { needRollouts, requestRound, type AskedTask, type Finished } from '../training/requests.js';
import { alignGivenLogprobs, scoreRows, type TeacherScoring } from '../training/scoring.js';
import type { StepEpisodes } from '../training/step-episodes.js';
import { judgeStaleness, sampledBy, staleTokensOf, stalenessStats } from '../training/staleness.js';
import { takeSteps } from '../training/take-steps.js';
import { withStageSession, type StageSession, type TrainingDeps } from '../training/session.js';
import { openHardSet } from './hard-set.js';

/** Rounds in which groups that infrastructure took are asked for again, with or without dynamic sampling. */
const REPLACEMENT_ROUNDS = 2;

export interface LearnerDeps extends TrainingDeps {
  readonly scoring: TeacherScoring;
}

export async function advanceRl(deps: LearnerDeps, ref: StageRef, standing = false): Promise<StageNeeds> {
  return withStageSession(deps, ref, async (session) => {
    const recipe = session.recipe as RlStageRecipe;
    const hardSet = recipe.tasks.source === 'hard-set' ? await openHardSet(deps, session, recipe, recipe.tasks) : [];
    if (!isTaskList(hardSet)) return hardSet;
    return takeSteps(deps, session, {
      steps: recipe.steps, standing,
      request: async (state, step) => requestGroups(session, {
        step, round: 0, policy: await policyOf(deps, session, state), hardSet,
        prompts: firstRoundPrompts(session.recipeAt(recipe, step)),
      }),
      tryStep: (state, episodes) => tryStep(deps, session, { state, hardSet, episodes }),
    });
  });
}

interface StepWork {
  readonly state: TrainerState;
  readonly hardSet: readonly string[];
  readonly episodes: StepEpisodes;
}

/** The next step, once its episodes are all terminal and enough of its groups say something; the rollouts it waits for before. */
async function tryStep(deps: LearnerDeps, session: StageSession, work: StepWork): Promise<TrainerState | StageNeeds> {
  const step = work.state.step + 1;
  const finished = await work.episodes.ended(roundsOf(session.stage.state, step));
  if (!finished) return needRollouts(session, step);
  if (!session.stage.state.closed.has(step)) {
    const more = await closeOrAskForMore(deps, session, { ...work, finished });
    if (more) return work.episodes.arrive ? tryStep(deps, session, work) : more;
  }
  return commitStep(deps, session, work.state, [...episodeStats(finished, false), ...stalenessStats(session, step, finished)]);
}

/** Over-sampled where groups are filtered, so that one round is mostly enough. */
function firstRoundPrompts({ dynamicSampling, promptsPerStep }: RlStageRecipe): number {
  return dynamicSampling.enabled ? Math.ceil(promptsPerStep * dynamicSampling.overSampling) : promptsPerStep;
}

/** A stale episode leaves, and its prompt is asked for again, of the weights that the step trains: so once is enough, and its group is whole. */
async function replaceStale(deps: LearnerDeps, session: StageSession, work: StepWork, stale: readonly Finished[]): Promise<StageNeeds> {
  const samples = new Map<string, number[]>();
  for (const { request: { task, sample } } of stale) samples.set(task, [...(samples.get(task) ?? []), sample]);
  const { domain } = session.recipe as RlStageRecipe;
  return requestGroups(session, {
    step: work.state.step + 1, round: 1, policy: await policyOf(deps, session, work.state), hardSet: work.hardSet, prompts: 0,
    again: [...samples].map(([task, of]) => ({ domain, task, samples: of })),
    drops: stale.map(({ request }) => ({ episode: request.episode, reason: 'stale' })),
  });
}

async function closeOrAskForMore(deps: LearnerDeps, session: StageSession, work: StepWork & { finished: readonly Finished[] }): Promise<StageNeeds | undefined> {
  const step = work.state.step + 1;
  const recipe = session.recipeAt(session.recipe as RlStageRecipe, step);
  const { dynamicSampling } = recipe;
  const keep = (group: Group<Finished>): boolean => !dynamicSampling.enabled || isInformative(group, dynamicSampling.metric);
  const { fresh, stale } = recipe.asynchronous?.onStale === 'drop' ? judgeStaleness(session, step, work.finished) : { fresh: work.finished, stale: [] };
  const rounds = roundsOf(session.stage.state, step).length;
  if (stale.length > 0 && rounds === 1) return replaceStale(deps, session, work, stale);
  const groups = groupOutcomes(fresh);
  const selection = selectGroups(groups, recipe.promptsPerStep, keep);
  const usable = selection.groups.filter(keep).length;
  const lost = groups.some((group) => group.members.length < 2);
  const moreRounds = Math.max(dynamicSampling.enabled ? dynamicSampling.maxRounds : 0, lost ? REPLACEMENT_ROUNDS : 0);
  if (usable < recipe.promptsPerStep && rounds - Number(stale.length > 0) <= moreRounds) {
    return requestGroups(session, {
      step, round: rounds, policy: await policyOf(deps, session, work.state), hardSet: work.hardSet, prompts: recipe.promptsPerStep - usable,
    });
  }
  if (selection.groups.length === 0) {
    throw new StemmaError('environment', 'EXHAUSTED', `step ${step} of ${session.ref.stage}: no group has two valid episodes after ${rounds} rounds`,
      'Look at the details of the failed episodes (stemma lineage EPISODE), correct the environment, and start a new run.');
  }
  const reference = await referenceLogprobs(deps, session, recipe, { step, groups: selection.groups });
  const scored = withoutUnscored(selection.groups, ({ request }) => recipe.klCoefficient === 0 || reference.has(request.episode));
  if (scored.groups.length === 0) {
    throw new StemmaError('scorer', 'EXHAUSTED', `step ${step} of ${session.ref.stage}: no group has two members with reference scores`,
      'The reasons are in the ScoreFailed facts of its episodes (stemma lineage EPISODE): correct the cause, and start a new run.');
  }
  const members = groupMembers(session, { step, groups: scored.groups }, reference);
  await recordBatch(deps, session, {
    step, recipe, closed: closeRlBatch(members, recipe), policyWeightsHashes: sampledBy(scored.groups.flatMap((group) => group.members)), teacherWeightsHashes: {},
    dropped: [...selection.dropped, ...scored.dropped],
  });
  return undefined;
}

interface GroupRequest {
  readonly step: number;
  readonly round: number;
  readonly policy: Policy;
  readonly hardSet: readonly string[];
  /** New ones, by the next indices. */
  readonly prompts: number;
  /** In the place of new ones: samples that replace `drops`. */
  readonly again?: readonly AskedTask[];
  readonly drops?: readonly EpisodeDropped[];
}

async function requestGroups(session: StageSession, wanted: GroupRequest): Promise<StageNeeds> {
  const recipe = session.recipeAt(session.recipe as RlStageRecipe, wanted.step);
  const environment = session.context.environments[recipe.domain];
  // Prompt numbers run on over steps and rounds, so that no prompt is asked twice before the set is used up.
  const asked = promptsAsked(session.stage.state);
  const tasks = wanted.again ?? Array.from({ length: wanted.prompts }, (_, i) => {
    const index = asked + i;
    const hard = wanted.hardSet[index % Math.max(1, wanted.hardSet.length)];
    return { domain: recipe.domain, task: hard ?? environment.taskId('train', index, recipe.variant) };
  });
  return requestRound(session, {
    step: wanted.step, round: wanted.round, purpose: 'train', ...wanted.policy,
    greedy: false, temperature: recipe.temperature, protocol: '', tasks, samplesPerTask: recipe.samplesPerPrompt, drops: wanted.drops,
  });
}

interface Chosen {
  readonly step: number;
  readonly groups: readonly Group<Finished>[];
}

function groupMembers(session: StageSession, { step, groups }: Chosen, reference: ReadonlyMap<string, Float32Array>): RlMember[][] {
  const stale = staleTokensOf(session, step);
  return groups.map((group) => group.members.map((finished): RlMember => {
    const { tokens, mask, logprobs } = finished.trajectory;
    return {
      member: finished.request.episode, domain: finished.request.domain, tokens, mask, logprobs,
      reward: finished.reward, correct: finished.correct,
      process: satisfiedShare(finished.state.rubrics),
      referenceLogprobs: reference.get(finished.request.episode) ?? new Float32Array(),
      stale: stale(finished),
    };
  }));
}

/** An episode whose scoring is exhausted has none: its failure is a fact, and asking again would say the same. */
async function referenceLogprobs(
  deps: LearnerDeps, session: StageSession, recipe: RlStageRecipe, { step, groups }: Chosen,
): Promise<Map<string, Float32Array>> {
  if (recipe.klCoefficient === 0) return new Map();
  const members = groups.flatMap((g) => g.members);
  const scores = await deps.scoring.scoreEpisodes({ ...session.ref, purpose: 'reference', step, episodes: members.map((m) => m.request.episode) });
  const rowOf = scoreRows(deps.blobs);
  const lengths = new Map(members.map((m) => [m.request.episode, m.trajectory.tokens.length]));
  const entries = await Promise.all(scores.map(async ({ episode, scored, failure }) => {
    if (scored) return [[episode, alignGivenLogprobs(await rowOf(scored), lengths.get(episode) ?? 0)] as const];
    session.logger.warn({ episode, reason: failure }, 'no reference scores: the episode leaves its group');
    return [];
  }));
  return new Map(entries.flat());
}

function isTaskList(value: readonly string[] | StageNeeds): value is readonly string[] {
  return Array.isArray(value);
}
