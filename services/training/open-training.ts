/** What learner and distiller plan and step with: one trainer, and teacher scoring wherever it is. */
import { sidecarTrainer } from '../adapters/trainer/sidecar.js';
import type { Channel } from '../runtime/grpc.js';
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

export interface Reached {
  /** host:port */
  readonly address: string;
  /** Absent: plain text. */
  readonly channel?: Channel;
}

export interface TrainingSpec {
  readonly sidecar: Reached;
  readonly scoring: {
    /** host:port, or several with commas between. */
    readonly address: string;
    /** Absent: plain text. */
    readonly channelTo?: (address: string) => Channel;
  };
  readonly samplers: Samplers;
}

export function openTraining(base: ServiceBase, { sidecar, scoring: scorer, samplers }: TrainingSpec): Training {
  const trainer = sidecarTrainer(sidecar.address, sidecar.channel);
  const scoring = teacherScoringClient(scorer.address, scorer.channelTo);
  const nowMs = (): number => performance.now();
  return {
    deps: { ...base, trainer, scoring, samplers, nowMs, metrics: createTrainingMetrics(base.registry), stopwatch: startStopwatch(trainer, nowMs, samplers === 'beside-trainer') },
    close() {
      scoring.close();
      trainer.close();
    },
  };
}
