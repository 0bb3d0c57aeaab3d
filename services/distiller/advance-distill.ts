/** Multi-teacher on-policy distillation: the student's own rollouts, each scored by its domain's teacher, closed into one SVA batch. */
import { closeDistillBatch, type DistillMember } from '../../core/batch/distill.js';
import { DOMAINS, type Domain } from '../../core/environment.js';
import { StemmaError } from '../../core/errors.js';
import type { TrainerState } from '../../core/ports.js';
import type { DistillStageRecipe } from '../../core/recipe/recipe.js';
import { episodesAsked, roundsOf } from '../../core/stage/stage.js';
import type { StageNeeds, StageRef } from '../../workflows/activities.js';
import { settleAll } from '../runtime/settle-all.js';
import { episodeStats } from '../training/episode-stats.js';
import { commitStep, policyOf, recordBatch, type Policy } from '../training/learn-step.js';
import { needRollouts, requestRound, type Finished } from '../training/requests.js';
import type { EpisodeScoring, TeacherScoring } from '../training/scoring.js';
import { withStageSession, type StageSession, type TrainingDeps } from '../training/session.js';
import type { StepEpisodes } from '../training/step-episodes.js';
import { sampledBy, stalenessStats } from '../training/staleness.js';
import { takeSteps } from '../training/take-steps.js';

export interface DistillerDeps extends TrainingDeps {
  readonly scoring: TeacherScoring;
}

/** Rounds in which failed or unscored members are asked for again before the run blocks. */
const REPLACEMENT_ROUNDS = 2;

export async function advanceDistill(deps: DistillerDeps, ref: StageRef, standing = false): Promise<StageNeeds> {
  return withStageSession(deps, ref, async (session) => {
    const recipe = session.recipe as DistillStageRecipe;
    return takeSteps(deps, session, {
      steps: recipe.steps, standing,
      request: async (state, step) => requestPrompts(session, {
        step, policy: await policyOf(deps, session, state), round: 0,
        wanted: routedDomains(session).map((domain) => ({ domain, count: recipe.promptsPerDomain })),
      }),
      tryStep: (state, episodes) => tryStep(deps, session, { state, episodes }),
    });
  });
}

/** Domains with a teacher. `none` leaves a domain out of distillation. */
function routedDomains(session: StageSession): Domain[] {
  return DOMAINS.filter((domain) => session.context.recipe.teachers[domain] !== 'none');
}

interface StepWork {
  readonly state: TrainerState;
  readonly episodes: StepEpisodes;
}

async function tryStep(deps: DistillerDeps, session: StageSession, work: StepWork): Promise<TrainerState | StageNeeds> {
  const step = work.state.step + 1;
  const parts = await scoredDomains(deps, session, work.episodes, step);
  if (!parts) return needRollouts(session, step);
  const finished = parts.flatMap((part) => part.finished);
  if (!session.stage.state.closed.has(step)) {
    const scores = new Map(parts.flatMap((part) => part.scores).map((s) => [s.episode, s]));
    const more = await closeOrReplace(deps, session, { state: work.state, finished, scores });
    if (more) return work.episodes.arrive ? tryStep(deps, session, work) : more;
  }
  return commitStep(deps, session, work.state, [...episodeStats(finished, true), ...stalenessStats(session, step, finished)]);
}

interface ScoredDomain {
  readonly finished: readonly Finished[];
  /** Of the usable ones; none where the batch is closed already. */
  readonly scores: readonly EpisodeScoring[];
}

/** Each domain is scored as soon as its own episodes are terminal, while others are still sampled. Undefined while any is owed. */
async function scoredDomains(deps: DistillerDeps, session: StageSession, episodes: StepEpisodes, step: number): Promise<ScoredDomain[] | undefined> {
  const rounds = roundsOf(session.stage.state, step);
  const parts = await settleAll(routedDomains(session).map(async (domain): Promise<ScoredDomain | undefined> => {
    const finished = await episodes.ended(rounds.map((round) => ({ ...round, episodes: round.episodes.filter((e) => e.domain === domain) })));
    if (!finished) return undefined;
    const usable = finished.filter((e) => e.status !== 'failed').map((e) => e.request.episode);
    if (session.stage.state.closed.has(step) || usable.length === 0) return { finished, scores: [] };
    return { finished, scores: await deps.scoring.scoreEpisodes({ ...session.ref, purpose: 'teacher', step, episodes: usable }) };
  }));
  const scored = parts.filter((part) => part !== undefined);
  return scored.length === parts.length ? scored : undefined;
}

interface CloseWork {
  readonly state: TrainerState;
  readonly finished: readonly Finished[];
  readonly scores: ReadonlyMap<string, EpisodeScoring>;
}

/** A member whose score is exhausted leaves and is replaced; below minMembersPerDomain the run blocks and says so. */
async function closeOrReplace(deps: DistillerDeps, session: StageSession, work: CloseWork): Promise<StageNeeds | undefined> {
  const step = work.state.step + 1;
  const recipe = session.recipeAt(session.recipe as DistillStageRecipe, step);
  const { scores } = work;
  const usable = work.finished.filter((e) => e.status !== 'failed');
  const scored = usable.filter((e) => scores.get(e.request.episode)?.scored);
  const missing = routedDomains(session).map((domain) => ({
    domain, count: recipe.promptsPerDomain - scored.filter((e) => e.request.domain === domain).length,
  })).filter((m) => m.count > 0);
  const rounds = roundsOf(session.stage.state, step).length;
  if (missing.length > 0 && rounds <= REPLACEMENT_ROUNDS) {
    return requestPrompts(session, { step, policy: await policyOf(deps, session, work.state), round: rounds, wanted: missing });
  }
  const short = missing.filter((m) => recipe.promptsPerDomain - m.count < recipe.minMembersPerDomain);
  if (short.length > 0) {
    throw new StemmaError('scorer', 'UNAVAILABLE',
      `step ${step} of ${session.ref.stage}: too few scored members in ${short.map((m) => m.domain).join(', ')} after ${rounds} rounds`,
      'The run does not go on without them: look at the teacher of that domain, or stop the run and route the domain to none.');
  }
  await recordDistillBatch(deps, session, { recipe, state: work.state, usable, scored, scores });
  return undefined;
}

interface DistillClosing {
  readonly recipe: DistillStageRecipe;
  readonly state: TrainerState;
  readonly usable: readonly Finished[];
  readonly scored: readonly Finished[];
  readonly scores: ReadonlyMap<string, EpisodeScoring>;
}

async function recordDistillBatch(deps: DistillerDeps, session: StageSession, closing: DistillClosing): Promise<void> {
  const teachers: { [domain: string]: string } = {};
  const members = closing.scored.map((finished): DistillMember => {
    const scored = closing.scores.get(finished.request.episode)?.scored;
    if (!scored?.scores) throw new Error(`episode ${finished.request.episode} has no score`);
    teachers[finished.request.domain] = scored.scorerWeightsHash;
    const { tokens, mask } = finished.trajectory;
    return {
      member: finished.request.episode, domain: finished.request.domain, tokens, mask, reward: finished.reward,
      scoreBlobSha256: scored.scores.sha256, scoreRow: scored.row,
    };
  });
  await recordBatch(deps, session, {
    step: closing.state.step + 1, recipe: closing.recipe, closed: closeDistillBatch(members, closing.recipe),
    policyWeightsHashes: sampledBy(closing.scored), teacherWeightsHashes: teachers,
    dropped: closing.usable.filter((e) => !closing.scored.includes(e)).map((e) => ({ episode: e.request.episode, reason: 'score-failed' })),
  });
}

interface PromptRequest {
  readonly step: number;
  readonly policy: Policy;
  readonly round: number;
  readonly wanted: readonly { readonly domain: Domain; readonly count: number }[];
}

/** Unique prompts, balanced by domain; one sample a prompt (paper §3.3: more prompts beat more samples). */
async function requestPrompts(session: StageSession, request: PromptRequest): Promise<StageNeeds> {
  const { step } = request;
  const recipe = session.recipeAt(session.recipe as DistillStageRecipe, step);
  const tasks = request.wanted.flatMap(({ domain, count }) => {
    const from = episodesAsked(session.stage.state, domain);
    return Array.from({ length: count }, (_, i) => ({
      domain, task: session.context.environments[domain].taskId('train', from + i, recipe.variants[domain] ?? ''),
    }));
  });
  return requestRound(session, {
    step, round: request.round, purpose: 'train', ...request.policy,
    greedy: false, temperature: recipe.rolloutTemperature, protocol: '', tasks, samplesPerTask: 1,
  });
}
