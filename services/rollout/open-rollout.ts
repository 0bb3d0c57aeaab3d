/** The rollout service over one sampler. */
import type { RolloutActivities } from '../../workflows/activities.js';
import { sidecarSampler } from '../adapters/sampler/sidecar.js';
import type { Channel } from '../runtime/grpc.js';
import type { ServiceBase } from '../runtime/service-base.js';
import { createRolloutMetrics } from './metrics.js';
import { createRolloutActivities } from './rollout-shard.js';

export interface Rollout {
  readonly activities: RolloutActivities;
  close(): void;
}

export function openRollout(base: ServiceBase, sidecar: { readonly address: string; readonly channel?: Channel }): Rollout {
  const sampler = sidecarSampler(sidecar.address, sidecar.channel);
  return {
    activities: createRolloutActivities({ ...base, sampler, metrics: createRolloutMetrics(base.registry) }),
    close: () => sampler.close(),
  };
}
