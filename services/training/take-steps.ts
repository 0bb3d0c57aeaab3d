/**
 * The steps of a stage that learns from rollouts: request, learn, request the next. Without standing rollouts it returns with what
 * it requested; with them it waits and goes on, until a boundary, and an asynchronous stage requests ahead of what it learns.
 */
import type { TrainerState } from '../../core/ports.js';
import { asynchronyOf } from '../../core/recipe/recipe.js';
import { stepsAhead, stepsToRequest } from '../../core/stage/staleness.js';
import type { StageNeeds } from '../../workflows/activities.js';
import { inSpan } from '../runtime/tracing/spans.js';
import { activityBoundary } from './boundary.js';
import { publishResult } from './learn-step.js';
import { ensureTrainer } from './recover.js';
import type { StageSession, TrainingDeps } from './session.js';
import { StepEpisodes } from './step-episodes.js';

export interface Stepping {
  readonly steps: number;
  readonly standing: boolean;
  /** Records the first request of `step`, to be sampled with the weights of `state` or newer ones. */
  readonly request: (state: TrainerState, step: number) => Promise<StageNeeds>;
  /** The step after `state`, or the rollouts it waits for. */
  readonly tryStep: (state: TrainerState, episodes: StepEpisodes) => Promise<TrainerState | StageNeeds>;
}

export async function takeSteps(deps: TrainingDeps, session: StageSession, stepping: Stepping): Promise<StageNeeds> {
  const { steps, standing } = stepping;
  const trainerIsReady = (): Promise<TrainerState> => ensureTrainer(deps, session);
  const episodes = new StepEpisodes(session.context.log, session.ref.run,
    standing ? { check: trainerIsReady, signal: deps.cancellation(), nowMs: deps.nowMs } : undefined);
  const atBoundary = activityBoundary(deps, session);
  const ahead = standing ? stepsAhead(asynchronyOf(session.recipe)) : 0;
  let state = await trainerIsReady();
  while (state.step < steps) {
    for (const step of stepsToRequest({ committed: state.step, steps, ahead }, (asked) => session.stage.state.requests.has(asked))) {
      const needs = await stepping.request(state, step);
      if (!standing) return needs;
    }
    const from = state;
    const next = await inSpan('step', { about: { ...session.ref, step: from.step + 1 } }, () => stepping.tryStep(from, episodes));
    if ('kind' in next) return next;
    state = next;
    episodes.forget();
    if (standing && state.step < steps && await atBoundary()) return { kind: 'advance', step: state.step + 1 };
  }
  await publishResult(deps, session);
  return { kind: 'done', step: state.step };
}
