/** The rollout service over one sampler. */
import type { RolloutActivities } from '../../workflows/activities.js';
import { sidecarSampler } from '../adapters/sampler/sidecar.js';
import type { ServiceBase } from '../runtime/service-base.js';
import { createRolloutMetrics } from './metrics.js';
import { createRolloutActivities } from './rollout-shard.js';

export interface Rollout {
  readonly activities: RolloutActivities;
  close(): void;
}

export function openRollout(base: ServiceBase, sidecarAddress: string): Rollout {
  const sampler = sidecarSampler(sidecarAddress);
  return {
    activities: createRolloutActivities({ ...base, sampler, metrics: createRolloutMetrics(base.registry) }),
    close: () => sampler.close(),
  };
}
