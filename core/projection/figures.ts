/** The few figures of a stage that its page in the Temporal UI shows. All of them are in StepCommitted and EvaluationFinished. */
import type { EvaluationFinished, Stat } from '../../proto/gen/stemma/v1/events.js';
import type { Fold } from '../log/fold.js';
import { coverageByDomain, mean, meanOf, statsByName } from './curves.js';

/** Means of the newest step, as far as the stage has them; accuracy over all domains, of the finished stage. */
export interface StageFigures {
  readonly loss?: number;
  readonly reward?: number;
  /** ρ, mean over domains. */
  readonly coverage?: number;
  readonly accuracy?: number;
}

export function stepFigures(stats: readonly Stat[]): StageFigures {
  const byName = statsByName(stats);
  const loss = mean(byName.get('loss'));
  const coverage = meanOf([...coverageByDomain(byName).values()]);
  // A distilled student's reward is watched, not trained on.
  const reward = coverage === undefined ? mean(byName.get('reward')) : undefined;
  return { ...(loss === undefined ? {} : { loss }), ...(reward === undefined ? {} : { reward }), ...(coverage === undefined ? {} : { coverage }) };
}

export function evaluationFigures(accuracy: EvaluationFinished['accuracy']): StageFigures {
  const overall = meanOf(accuracy.filter(({ total }) => total > 0).map(({ correct, total }) => correct / total));
  return overall === undefined ? {} : { accuracy: overall };
}

/** How far a stage stream says the stage is. */
export const newestStep: Fold<{ step: number; stats: readonly Stat[] }> = {
  initial: () => ({ step: 0, stats: [] }),
  evolve(state, payload) {
    if (payload.$case === 'stepCommitted' && payload.value.step === state.step + 1) Object.assign(state, { step: payload.value.step, stats: payload.value.stats });
    return state;
  },
};
