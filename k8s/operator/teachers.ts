/** Teachers: scoring pods that runs share. What a Teacher needs, what it says of itself, and whom a run waits for. */
import { isDeepStrictEqual } from 'node:util';
import type { Recipe } from '../../core/recipe/recipe.js';
import { isRefusal, type KubeApi } from './api.js';
import type { Applier } from './applier.js';
import { conditionsFrom, finding } from './conditions.js';
import { MANAGED_BY, ownerOf, POOL_LABEL, ROLE_LABEL, RUN_LABEL } from './desired.js';
import { teacherNetwork } from './network.js';
import type { Owned } from './owned.js';
import { podTemplate, type Desired } from './pod.js';
import { apiVersionOf, kindKeyOf, pathOf, type Workload } from './resources.js';
import type { Teacher, TrainingRun } from './training-run.js';

const TEACHER_LABEL = 'stemma.dev/teacher';

/** Domains that the recipe routes to a teacher and for which the run's pool has no pod that answers. Pure. */
export function domainsWithoutTeacher(recipe: Recipe, teachers: Iterable<Teacher>, { metadata, spec }: TrainingRun): string[] {
  const ready = new Set([...teachers].filter((teacher) => teacher.metadata.namespace === metadata.namespace
    && teacher.spec.pool === spec.teacherPool && (teacher.status?.readyReplicas ?? 0) > 0).map((teacher) => teacher.spec.domain));
  return Object.entries(recipe.teachers).filter(([domain, stage]) => stage !== 'none' && !ready.has(domain)).map(([domain]) => domain);
}

/** Pure. */
export function desiredTeacher(teacher: Teacher, image: string): Desired[] {
  const { metadata: { namespace, name }, spec } = teacher;
  const labels = {
    'app.kubernetes.io/name': 'stemma', 'app.kubernetes.io/instance': name, 'app.kubernetes.io/managed-by': MANAGED_BY,
    [TEACHER_LABEL]: name, [ROLE_LABEL]: 'teacher-scoring',
  };
  const metadata = { name: `${name}-teacher`, namespace, labels, ownerReferences: [ownerOf(teacher)] };
  const { metadata: podMetadata, spec: podSpec } = podTemplate({
    role: 'teacher-scoring', image: spec.image ?? image, surroundings: spec, wanted: spec, labels: { ...labels, [POOL_LABEL]: spec.pool },
  });
  const { run, stage, sha256 = '' } = spec.checkpoint;
  return [
    {
      apiVersion: apiVersionOf('Deployment'), kind: 'Deployment', metadata,
      spec: {
        replicas: spec.replicas, strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } }, selector: { matchLabels: labels },
        template: {
          metadata: { ...podMetadata, annotations: { 'stemma.dev/domain': spec.domain, 'stemma.dev/checkpoint': `${run}/${stage}/${sha256}` } },
          spec: podSpec,
        },
      },
    },
    {
      apiVersion: apiVersionOf('PodDisruptionBudget'), kind: 'PodDisruptionBudget', metadata,
      spec: { maxUnavailable: 1, selector: { matchLabels: labels }, unhealthyPodEvictionPolicy: 'AlwaysAllow' },
    },
    { apiVersion: apiVersionOf('NetworkPolicy'), kind: 'NetworkPolicy', metadata, spec: teacherNetwork({ [TEACHER_LABEL]: name }, RUN_LABEL, spec) },
  ];
}

export interface TeacherDeps {
  readonly api: KubeApi;
  readonly applier: Applier;
  readonly owned: Owned;
  readonly image: string;
  readonly now: () => number;
}

/** A deleted Teacher needs no farewell: its objects go with their owner. */
export async function reconcileTeacher(deps: TeacherDeps, teacher: Teacher): Promise<null> {
  if (teacher.metadata.deletionTimestamp !== undefined) return null;
  const owned = deps.owned.of(teacher);
  const problems: string[] = [];
  let reason = 'AsWanted';
  for (const object of desiredTeacher(teacher, deps.image)) {
    const outcome = await deps.applier.apply(object, owned.get(kindKeyOf(object)));
    if (outcome.kind === 'as-wanted') continue;
    problems.push(outcome.message);
    reason = outcome.reason;
  }
  const deployment = [...owned.values()].find(({ kind }) => kind === 'Deployment') as Workload | undefined;
  const status = teacherStatus(teacher, deployment?.status?.readyReplicas ?? 0, { reason, problems, nowMs: deps.now() });
  if (!isDeepStrictEqual(status, teacher.status)) await patchStatus(deps.api, teacher, status);
  return null;
}

function teacherStatus({ metadata: { generation = 0 }, spec, status }: Teacher, readyReplicas: number, seen: { reason: string; problems: readonly string[]; nowMs: number }): Teacher['status'] {
  const ready = readyReplicas > 0;
  return {
    observedGeneration: generation, readyReplicas,
    conditions: conditionsFrom([
      finding('Applied', seen.problems.length === 0 ? 'True' : 'False', seen.reason, seen.problems.join('\n') || 'all objects of the teacher are as wanted'),
      finding('Ready', ready ? 'True' : 'False', ready ? 'PodsReady' : 'NoPodReady', `${readyReplicas} of ${spec.replicas} scoring pods answer`),
    ], status?.conditions, { generation, nowMs: seen.nowMs }),
  };
}

async function patchStatus(api: KubeApi, { apiVersion, kind, metadata: { namespace, name, uid } }: Teacher, status: Teacher['status']): Promise<void> {
  await api.call({
    method: 'PATCH', path: `${pathOf('Teacher', namespace, name)}/status`, query: { fieldManager: MANAGED_BY, force: 'true' },
    contentType: 'application/apply-patch+yaml', body: { apiVersion, kind, metadata: { name, namespace, uid }, status },
  }).catch((error: unknown) => {
    if (!isRefusal(error, 'NotFound') && !isRefusal(error, 'Conflict')) throw error;
  });
}
