/**
 * How activities are called: which task queue, how long, how often, and under which line in the Temporal UI.
 * A dead process is noticed by its missing heartbeats (services/worker/heartbeat.ts sends one a second), never by startToClose.
 * Services decide whether an error can be retried (services/runtime/activity-errors.ts); here only how fast.
 */
import { proxyActivities } from '@temporalio/workflow';
import type { ActivityInterfaceFor, ActivityOptions } from '@temporalio/workflow';
import type { DistillerActivities, LearnerActivities, RolloutActivities, RunActivities } from './activities.js';

const OPTIONS: ActivityOptions = {
  heartbeatTimeout: '5 seconds',
  startToCloseTimeout: '15 minutes',
  // Unlimited attempts: a stage that waits for a service is visible as a pending activity with its last error.
  retry: { initialInterval: '200 milliseconds', backoffCoefficient: 2, maximumInterval: '3 seconds' },
};

/** After these a shard gives up and its stage advances, which restores what is missing and plans again. */
const SHARD_ATTEMPTS = 5;

/** Each takes what the Temporal UI says of the call: no part of what replay compares, so it may change freely. */
export const run = (summary: string): ActivityInterfaceFor<RunActivities> => proxyActivities<RunActivities>({ ...OPTIONS, taskQueue: 'stemma-worker', summary });
export const learner = (summary: string): ActivityInterfaceFor<LearnerActivities> => proxyActivities<LearnerActivities>({ ...OPTIONS, taskQueue: 'stemma-learner', summary });
export const distiller = (summary: string): ActivityInterfaceFor<DistillerActivities> => proxyActivities<DistillerActivities>({ ...OPTIONS, taskQueue: 'stemma-distiller', summary });
export const rollout = (summary: string): ActivityInterfaceFor<Pick<RolloutActivities, 'rolloutShard'>> => proxyActivities<Pick<RolloutActivities, 'rolloutShard'>>({
  ...OPTIONS, taskQueue: 'stemma-rollout', retry: { ...OPTIONS.retry, maximumAttempts: SHARD_ATTEMPTS }, summary,
});
/** Unlimited attempts: what it cannot do now it does when what is missing is back. */
export const standing = (summary: string): ActivityInterfaceFor<Pick<RolloutActivities, 'standRollouts'>> => proxyActivities<Pick<RolloutActivities, 'standRollouts'>>({ ...OPTIONS, taskQueue: 'stemma-rollout', summary });
