/** What learner and distiller plan and step with: one trainer, and teacher scoring wherever it is. */
import { sidecarTrainer } from '../adapters/trainer/sidecar.js';
import type { ServiceBase } from '../runtime/service-base.js';
import { teacherScoringClient } from '../teacher-scoring/client.js';
import type { TeacherScoring } from './scoring.js';
import type { Samplers, TrainingDeps } from './session.js';
import { createTrainingMetrics } from './metrics.js';
import { startStopwatch } from './stopwatch.js';

export interface Training {
  readonly deps: TrainingDeps & { readonly scoring: TeacherScoring };
  close(): void;
}

export interface TrainingSpec {
  readonly sidecarAddress: string;
  readonly scoringAddress: string;
  readonly samplers: Samplers;
}

export function openTraining(base: ServiceBase, { sidecarAddress, scoringAddress, samplers }: TrainingSpec): Training {
  const trainer = sidecarTrainer(sidecarAddress);
  const scoring = teacherScoringClient(scoringAddress);
  const nowMs = (): number => performance.now();
  return {
    deps: { ...base, trainer, scoring, samplers, nowMs, metrics: createTrainingMetrics(base.registry), stopwatch: startStopwatch(trainer, nowMs, samplers === 'beside-trainer') },
    close() {
      scoring.close();
      trainer.close();
    },
  };
}
