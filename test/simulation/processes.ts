/** The services of the recipe as processes of a simulation: their real code over ports that the scheduler answers. */
import type { BlobStore, RunLogs, Sampler, Scorer, Trainer } from '../../core/ports.js';
import { createRunActivities } from '../../services/coordinator/run-activities.js';
import { advanceDistill } from '../../services/distiller/advance-distill.js';
import { createLearnerActivities } from '../../services/learner/learner-activities.js';
import { createRolloutActivities } from '../../services/rollout/rollout-shard.js';
import type { Logger } from '../../services/runtime/logger.js';
import { createRunContexts } from '../../services/runtime/run-context.js';
import { createTeacherScoring } from '../../services/teacher-scoring/teacher-scoring.js';
import type { TrainingMetrics } from '../../services/training/metrics.js';
import { createRouter } from '../../services/training/routing.js';
import type { TeacherScoring } from '../../services/training/scoring.js';
import type { TrainingDeps } from '../../services/training/session.js';
import { startStopwatch } from '../../services/training/stopwatch.js';
import type { Party } from './scheduler.js';
import type { ActivityFunction } from './temporal.js';

export const PROCESSES = ['coordinator', 'learner', 'distiller', 'rollout-a', 'rollout-b', 'scoring'] as const;
export type ProcessName = (typeof PROCESSES)[number];

/** Processes that poll a task queue. */
export const POLLERS: { readonly [queue: string]: readonly ProcessName[] } = {
  'stemma-worker': ['coordinator'], 'stemma-learner': ['learner'], 'stemma-distiller': ['distiller'], 'stemma-rollout': ['rollout-a', 'rollout-b'],
};

/** What one process reaches of the world. */
export interface Ports {
  readonly logs: RunLogs;
  readonly blobs: BlobStore;
  readonly sampler: Sampler;
  readonly scorer: Scorer;
  readonly trainer: Trainer;
  /** The scoring service, in its own process. */
  readonly scoring: TeacherScoring;
  readonly nowMs: () => number;
}

export interface Process {
  readonly party: Party;
  readonly activities: { readonly [name: string]: ActivityFunction };
  readonly scoring: TeacherScoring;
  /** Temporal tells its rollouts to stop. */
  cancel(): void;
}

const nothing = (): void => undefined;
const cancellation = (): AbortSignal => new AbortController().signal;
const logger = { info: nothing, warn: nothing, error: nothing, debug: nothing, child: () => logger } as unknown as Logger;
const rolloutMetrics = { sampled: nothing, changedWeights: nothing, acted: nothing, aborted: nothing, ended: nothing, running: nothing };
const trainingMetrics: TrainingMetrics = { timed: (_kind, _part, work) => work(), replayed: nothing };
const scoringMetrics = { scored: nothing, reused: nothing, failed: nothing, chunk: nothing };

type Rest<T extends readonly unknown[]> = T extends [unknown, ...infer R] ? R : never;

/** A fresh process: nothing in memory. `stands`: rollouts stand beside their stage; otherwise their shards are asked for one by one. */
export function boot(party: Party, stands: boolean, ports: Ports): Process {
  const { logs, blobs, sampler, scorer, trainer, nowMs } = ports;
  let stopping = new AbortController();
  const contexts = createRunContexts(logs, blobs);
  const stopwatch = startStopwatch(trainer, nowMs);
  const holder = party.name;
  const keyring = { sealSecret: () => '' };
  const training: TrainingDeps = { contexts, blobs, trainer, samplers: 'elsewhere', stopwatch, metrics: trainingMetrics, logger, holder, nowMs, cancellation };
  const withScoring = { ...training, scoring: ports.scoring };
  const learner = createLearnerActivities({ ...withScoring, logs, keyring, code: { version: 'simulated', revision: '' } });
  const activities = {
    ...createRunActivities({ logs, contexts, keyring, stopwatch, logger }),
    ...learner,
    async openRun(...asked: Parameters<typeof learner.openRun>) {
      const plan = await learner.openRun(...asked);
      return { ...plan, stages: plan.stages.map((stage) => ({ ...stage, slots: stands ? stage.slots ?? 0 : 0 })) };
    },
    // No patience inside an activity: waiting is Temporal's, whose retries the scheduler orders.
    ...createRolloutActivities({ contexts, sampler, metrics: rolloutMetrics, logger, holder, heartbeat: nothing, cancellation: () => stopping.signal, samplerPatienceMs: 0 }),
    advanceDistill: (...asked: Rest<Parameters<typeof advanceDistill>>) => advanceDistill(withScoring, ...asked),
  };
  return {
    party,
    activities: activities as unknown as Process['activities'],
    cancel() {
      stopping.abort();
      stopping = new AbortController();
    },
    scoring: createTeacherScoring({ contexts, scorer, route: createRouter(contexts), metrics: scoringMetrics, logger, holder, scorerPatienceMs: 0 }),
  };
}
