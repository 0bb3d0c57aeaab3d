import type { LearnerActivities } from '../../workflows/activities.js';
import { openRun, type OpenRunDeps } from '../coordinator/open-run.js';
import { advanceRl, type LearnerDeps } from './advance-rl.js';
import { advanceSft } from './advance-sft.js';
import { advanceEvaluation } from './evaluation.js';

export function createLearnerActivities(deps: LearnerDeps & OpenRunDeps): LearnerActivities {
  return {
    openRun: (run, input) => openRun(deps, run, input),
    advanceSft: (ref) => advanceSft(deps, ref),
    advanceRl: (ref, standing) => advanceRl(deps, ref, standing),
    advanceEvaluation: (ref) => advanceEvaluation(deps, ref),
  };
}
