/**
 * How activities are called: which task queue, how long, how often.
 * A dead process is noticed by its missing heartbeats (services/worker/heartbeat.ts sends one a second), never by startToClose.
 * Services decide whether an error can be retried (services/runtime/activity-errors.ts); here only how fast.
 */
import { proxyActivities } from '@temporalio/workflow';
import type { ActivityOptions } from '@temporalio/workflow';
import type { DistillerActivities, LearnerActivities, RolloutActivities, RunActivities } from './activities.js';

const OPTIONS: ActivityOptions = {
  heartbeatTimeout: '5 seconds',
  startToCloseTimeout: '15 minutes',
  // Unlimited attempts: a stage that waits for a service is visible as a pending activity with its last error.
  retry: { initialInterval: '200 milliseconds', backoffCoefficient: 2, maximumInterval: '3 seconds' },
};

/** After these a shard gives up and its stage advances, which restores what is missing and plans again. */
const SHARD_ATTEMPTS = 5;

export const run = proxyActivities<RunActivities>({ ...OPTIONS, taskQueue: 'stemma-worker' });
export const learner = proxyActivities<LearnerActivities>({ ...OPTIONS, taskQueue: 'stemma-learner' });
export const distiller = proxyActivities<DistillerActivities>({ ...OPTIONS, taskQueue: 'stemma-distiller' });
export const rollout = proxyActivities<Pick<RolloutActivities, 'rolloutShard'>>({
  ...OPTIONS, taskQueue: 'stemma-rollout', retry: { ...OPTIONS.retry, maximumAttempts: SHARD_ATTEMPTS },
});
/** Unlimited attempts: what it cannot do now it does when what is missing is back. */
export const standing = proxyActivities<Pick<RolloutActivities, 'standRollouts'>>({ ...OPTIONS, taskQueue: 'stemma-rollout' });
