/** The services of the recipe as processes of a simulation: their real code over ports that the scheduler answers. */
import type { BlobStore, EventLog, RunLogs, Sampler, Scorer, Trainer } from '../../core/ports.js';
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
  readonly log: EventLog;
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
}

const nothing = (): void => undefined;
const cancellation = (): AbortSignal => new AbortController().signal;
const logger = { info: nothing, warn: nothing, error: nothing, debug: nothing, child: () => logger } as unknown as Logger;
const rolloutMetrics = { sampled: nothing, changedWeights: nothing, acted: nothing, aborted: nothing, ended: nothing, running: nothing };
const trainingMetrics: TrainingMetrics = { timed: (_kind, _part, work) => work(), replayed: nothing };
const scoringMetrics = { scored: nothing, reused: nothing, failed: nothing, chunk: nothing };

/** A fresh process: nothing in memory. */
export function boot(party: Party, run: string, ports: Ports): Process {
  const { log, blobs, sampler, scorer, trainer, nowMs } = ports;
  const logs: RunLogs = { open: () => Promise.resolve(log), list: () => Promise.resolve([run]) };
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
    // Standing rollouts wait by real clocks: here shards are asked for one by one.
    async openRun(...asked: Parameters<typeof learner.openRun>) {
      const plan = await learner.openRun(...asked);
      return { ...plan, stages: plan.stages.map((stage) => ({ ...stage, slots: 0 })) };
    },
    // No patience inside an activity: waiting is Temporal's, whose retries the scheduler orders.
    ...createRolloutActivities({ contexts, sampler, metrics: rolloutMetrics, logger, holder, heartbeat: nothing, cancellation, samplerPatienceMs: 0 }),
    advanceDistill: (ref: Parameters<typeof advanceDistill>[1]) => advanceDistill(withScoring, ref),
  };
  return {
    party,
    activities: activities as unknown as Process['activities'],
    scoring: createTeacherScoring({ contexts, scorer, route: createRouter(contexts), metrics: scoringMetrics, logger, holder, scorerPatienceMs: 0 }),
  };
}
