/** TrainingRuns as the API server hands them out: with its defaults filled in. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FrozenRecipe } from '../../k8s/operator/overrides.js';
import type { Condition, Teacher, TrainingRun, TrainingRunSpec, TrainingRunStatus } from '../../k8s/operator/training-run.js';
import { parseRecipe } from '../../services/runtime/recipe-schema.js';

export const RECIPE_TEXT = readFileSync(join(import.meta.dirname, '../../recipes/micro.yaml'), 'utf8');

const REPLICAS = { min: 1, max: 4, episodesPerReplica: 64 };

export interface Given {
  readonly spec?: Partial<TrainingRunSpec>;
  readonly status?: TrainingRunStatus;
  readonly generation?: number;
  readonly name?: string;
}

export function trainingRun({ spec, status, generation = 1, name = 'tiny-run' }: Given = {}): TrainingRun {
  return {
    apiVersion: 'stemma.dev/v1alpha1', kind: 'TrainingRun',
    metadata: { name, namespace: 'team', uid: '0f0e0d0c-1111-2222-3333-444455556666', generation, resourceVersion: '7', finalizers: ['stemma.dev/drain'] },
    spec: {
      recipe: { name: 'micro' }, seed: 1, overrides: [], suspend: false, embedded: true, device: 'cpu', threads: 2,
      retention: { podsAfterEndSeconds: 600, volume: 'Delete', drainSeconds: 120 },
      roles: { rollout: { replicas: REPLICAS }, teacherScoring: { replicas: REPLICAS } }, ...spec,
    },
    ...(status && { status }),
  };
}

export const ON_A_CLUSTER: Partial<TrainingRunSpec> = {
  embedded: false, log: { brokers: ['kafka.data.svc:9092'], tls: false }, blobs: { claim: 'blobs' }, temporal: { address: 'temporal.data.svc:7233' },
};

export function teacher(domain: string, readyReplicas: number, pool = 'shared'): Teacher {
  return {
    apiVersion: 'stemma.dev/v1alpha1', kind: 'Teacher', metadata: { name: `${domain}-teacher`, namespace: 'team', uid: `uid-${domain}`, generation: 1 },
    spec: {
      pool, domain, checkpoint: { run: 'micro-1', stage: `${domain}-rl` }, engine: 'sidecar', device: 'cpu', threads: 2, replicas: 1,
      log: { brokers: ['kafka.data.svc:9092'], tls: false }, blobs: { claim: 'blobs' },
    },
    status: { readyReplicas },
  };
}

const RECIPE = parseRecipe(RECIPE_TEXT, 'micro');

export function frozenRecipe(baked: FrozenRecipe['baked'] = []): FrozenRecipe {
  return { text: RECIPE_TEXT, recipe: RECIPE, baked };
}

export function condition(type: string, status: Condition['status'], reason: string, observedGeneration = 1): Condition {
  return { type, status, reason, message: `because of ${reason}`, lastTransitionTime: '2026-01-01T00:00:00Z', observedGeneration };
}
