/** Every object a run needs, as server-side apply takes it: only what the operator decides. Pure. */
import { QUEUE_LABEL, type Queue } from './kueue.js';
import { runNetwork } from './network.js';
import { apiVersionOf, type ObjectMeta, type OwnedKind, type OwnerReference } from './resources.js';
import { podTemplate, PORTS, type Desired, type PodRole } from './pod.js';
import type { FrozenRecipe } from './overrides.js';
import type { Replicas, RolePod, TrainingRun } from './training-run.js';

export const MANAGED_BY = 'stemma-operator';
export const RUN_LABEL = 'stemma.dev/run';
export const POOL_LABEL = 'stemma.dev/pool';
export const ROLE_LABEL = 'app.kubernetes.io/component';

/** Which pods there shall be now. */
export interface PodsWanted {
  /** Learner, distiller, rollouts, scoring; the one pod of an embedded run. */
  readonly computing: boolean;
  /** Gateway and worker. */
  readonly steering: boolean;
}

export interface RunPlan {
  readonly run: TrainingRun;
  /** The operator's own image, for runs that name none. */
  readonly image: string;
  /** Whose pods may ask the gateway. */
  readonly operatorNamespace: string;
  readonly pods: PodsWanted;
  readonly replicas: Replicas;
  readonly frozen: FrozenRecipe;
  /** That the spec names; absent: it names none. */
  readonly queue?: Queue;
}

export function desiredObjects(plan: RunPlan): Desired[] {
  return [recipeConfigMap(plan), network(plan), ...(plan.run.spec.embedded ? embedded(plan) : distributed(plan))];
}

/** Read once at the run's start. Immutable: what the run began with stays readable. */
function recipeConfigMap({ run, frozen }: RunPlan): Desired {
  return {
    ...head('ConfigMap', run, { name: recipeConfigMapName(run) }),
    immutable: true,
    data: { 'recipe.yaml': frozen.text, 'overrides.json': JSON.stringify(frozen.baked) },
  };
}

export function recipeConfigMapName(run: TrainingRun): string {
  return `${run.metadata.name}-recipe`;
}

/** Made by gateway-key.ts: what it holds is random. */
export function gatewaySecretName(run: string): string {
  return `${run}-gateway-key`;
}

function embedded(plan: RunPlan): Desired[] {
  const { run, image, pods } = plan;
  const { name } = run.metadata;
  const { storage, retention, roles } = run.spec;
  const claim = head('PersistentVolumeClaim', run, { name });
  return [
    {
      // Without an owner it outlives the run.
      ...claim, metadata: retention.volume === 'Retain' ? { ...claim.metadata, ownerReferences: [] } : claim.metadata,
      spec: {
        accessModes: ['ReadWriteOnce'], resources: { requests: { storage: storage?.size ?? '20Gi' } },
        ...(storage?.storageClassName !== undefined && { storageClassName: storage.storageClassName }),
      },
    },
    service(run, 'gateway', { selects: labelsOf(run, 'all-in-one') }),
    {
      // Not a Deployment: the embedded log has one writer, so the old pod is gone before the new one starts.
      ...head('StatefulSet', run, { name, role: 'all-in-one', also: queueLabel(plan) }),
      spec: {
        replicas: pods.computing || pods.steering ? 1 : 0, serviceName: serviceName(run, 'gateway'),
        selector: { matchLabels: labelsOf(run, 'all-in-one') },
        template: podTemplate({
          role: 'all-in-one', image: run.spec.image ?? image, surroundings: run.spec, wanted: roles.allInOne,
          labels: podLabels(plan, 'all-in-one'), recipeConfigMap: recipeConfigMapName(run), keysSecret: gatewaySecretName(name), homeClaim: name,
        }),
      },
    },
  ];
}

function distributed(plan: RunPlan): Desired[] {
  const { run, pods, replicas } = plan;
  const { roles, teacherPool } = run.spec;
  const one = (on: boolean): number => (on ? 1 : 0);
  const many = (count: number): number => (pods.computing ? count : 0);
  const ownScoring = teacherPool === undefined;
  return [
    service(run, 'gateway', { selects: labelsOf(run, 'gateway') }),
    service(run, 'scoring', { selects: ownScoring ? labelsOf(run, 'teacher-scoring') : { [POOL_LABEL]: teacherPool } }),
    deployment(plan, 'gateway', roles.gateway, one(pods.steering)),
    deployment(plan, 'worker', roles.worker, one(pods.steering)),
    deployment(plan, 'learner', roles.learner, one(pods.computing)),
    deployment(plan, 'distiller', roles.distiller, one(pods.computing)),
    deployment(plan, 'rollout', roles.rollout, many(replicas.rollout)),
    budget(run, 'rollout'),
    ...(ownScoring ? [deployment(plan, 'teacher-scoring', roles.teacherScoring, many(replicas.teacherScoring)), budget(run, 'teacher-scoring')] : []),
  ];
}

/** Who lets in, and who records who was let in. */
const NEEDS_KEYS: readonly PodRole[] = ['gateway', 'worker', 'learner'];

function deployment(plan: RunPlan, role: PodRole, wanted: RolePod | undefined, replicas: number): Desired {
  const { run, image } = plan;
  const asksScoring = role === 'learner' || role === 'distiller';
  return {
    ...head('Deployment', run, { name: `${run.metadata.name}-${role}`, role, also: queueLabel(plan) }),
    spec: {
      replicas,
      // Two of them lose nothing, claims see to that; but the second would need a second GPU.
      strategy: role === 'rollout' || role === 'teacher-scoring' ? { type: 'RollingUpdate', rollingUpdate: { maxSurge: 0, maxUnavailable: '25%' } } : { type: 'Recreate' },
      selector: { matchLabels: labelsOf(run, role) },
      template: podTemplate({
        role, image: run.spec.image ?? image, surroundings: run.spec, wanted, labels: podLabels(plan, role),
        ...(asksScoring && { scoringAddress: `${serviceName(run, 'scoring')}:${PORTS.scoring}` }),
        ...(role === 'learner' && { recipeConfigMap: recipeConfigMapName(run) }),
        ...(NEEDS_KEYS.includes(role) && { keysSecret: gatewaySecretName(run.metadata.name) }),
      }),
    },
  };
}

export function serviceName({ metadata }: TrainingRun, port: 'gateway' | 'scoring'): string {
  return `${metadata.name}-${port}`;
}

/** Headless: names of pods that are ready, so that a client may keep a connection to each. */
function service(run: TrainingRun, port: 'gateway' | 'scoring', { selects }: { readonly selects: { readonly [label: string]: string } }): Desired {
  return {
    ...head('Service', run, { name: serviceName(run, port) }),
    spec: { clusterIP: 'None', selector: selects, ports: [{ name: port, port: PORTS[port], targetPort: port, protocol: 'TCP' }] },
  };
}

/** Never in the way of a drain: one pod may always go. */
function budget(run: TrainingRun, role: PodRole): Desired {
  return {
    ...head('PodDisruptionBudget', run, { name: `${run.metadata.name}-${role}`, role }),
    spec: { maxUnavailable: 1, selector: { matchLabels: labelsOf(run, role) }, unhealthyPodEvictionPolicy: 'AlwaysAllow' },
  };
}

/** Of all pods of the run, one object. */
function network({ run, operatorNamespace }: RunPlan): Desired {
  const { embedded: alone, teacherPool } = run.spec;
  const scoring = teacherPool === undefined ? labelsOf(run, 'teacher-scoring') : { [POOL_LABEL]: teacherPool };
  return {
    ...head('NetworkPolicy', run, { name: run.metadata.name }),
    spec: runNetwork({ pods: { [RUN_LABEL]: run.metadata.name }, scoring, surroundings: run.spec, embedded: alone, operatorNamespace }),
  };
}

interface Named {
  readonly name: string;
  readonly role?: PodRole;
  /** More labels. */
  readonly also?: { readonly [label: string]: string };
}

function head(kind: OwnedKind, run: TrainingRun, { name, role, also }: Named): Pick<Desired, 'apiVersion' | 'kind'> & { readonly metadata: ObjectMeta } {
  return {
    apiVersion: apiVersionOf(kind), kind,
    metadata: { name, namespace: run.metadata.namespace, labels: { ...labelsOf(run, role), ...also }, ownerReferences: [ownerOf(run)] },
  };
}

export function ownerOf({ apiVersion, kind, metadata: { name, uid } }: TrainingRun | { apiVersion: string; kind: string; metadata: ObjectMeta }): OwnerReference {
  return { apiVersion, kind, name, uid: uid ?? '', controller: true, blockOwnerDeletion: true };
}

function labelsOf({ metadata: { name } }: TrainingRun, role?: PodRole): { readonly [name: string]: string } {
  return {
    'app.kubernetes.io/name': 'stemma', 'app.kubernetes.io/instance': name, 'app.kubernetes.io/managed-by': MANAGED_BY, [RUN_LABEL]: name,
    ...(role !== undefined && { [ROLE_LABEL]: role }),
  };
}

function podLabels(plan: RunPlan, role: PodRole): { readonly [name: string]: string } {
  return { ...labelsOf(plan.run, role), ...queueLabel(plan) };
}

/** Where the queue is yet to be made the pods wait for it, as the spec says; where there is no Kueue nobody would let them go. */
function queueLabel({ run: { spec: { queueName } }, queue = 'no-kueue' }: RunPlan): { readonly [name: string]: string } {
  return queueName === undefined || queue === 'no-kueue' || queue === 'came-later' ? {} : { [QUEUE_LABEL]: queueName };
}
