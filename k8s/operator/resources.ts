/** Kubernetes objects as far as the operator knows them, and where the API serves them. */

export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly labels?: { readonly [name: string]: string };
  readonly annotations?: { readonly [name: string]: string };
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly OwnerReference[];
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
}

/** A container image's workload, as far as its status is read. */
export interface Workload extends KubeObject {
  readonly spec?: { readonly replicas?: number };
  readonly status?: { readonly replicas?: number; readonly readyReplicas?: number };
}

/** Kind → API group with version, and the plural in its path. */
const KINDS = {
  TrainingRun: ['stemma.dev/v1alpha1', 'trainingruns'],
  Teacher: ['stemma.dev/v1alpha1', 'teachers'],
  ConfigMap: ['v1', 'configmaps'],
  Secret: ['v1', 'secrets'],
  Service: ['v1', 'services'],
  PersistentVolumeClaim: ['v1', 'persistentvolumeclaims'],
  Event: ['v1', 'events'],
  Deployment: ['apps/v1', 'deployments'],
  StatefulSet: ['apps/v1', 'statefulsets'],
  PodDisruptionBudget: ['policy/v1', 'poddisruptionbudgets'],
  NetworkPolicy: ['networking.k8s.io/v1', 'networkpolicies'],
  Lease: ['coordination.k8s.io/v1', 'leases'],
} as const;

export type Kind = keyof typeof KINDS;

/** What a run or a teacher is made of: what the operator applies, follows and prunes. */
export const OWNED_KINDS = ['ConfigMap', 'Service', 'PersistentVolumeClaim', 'Deployment', 'StatefulSet', 'PodDisruptionBudget', 'NetworkPolicy'] as const satisfies readonly Kind[];
export type OwnedKind = (typeof OWNED_KINDS)[number];

export function apiVersionOf(kind: Kind): string {
  return KINDS[kind][0];
}

/** `/apis/apps/v1/namespaces/NS/deployments/NAME`; without namespace: of all namespaces. */
export function pathOf(kind: Kind, namespace?: string, name?: string): string {
  const [version, plural] = KINDS[kind];
  const group = version.includes('/') ? `/apis/${version}` : `/api/${version}`;
  return [group, ...(namespace === undefined ? [] : ['namespaces', namespace]), plural, ...(name === undefined ? [] : [name])].join('/');
}

/** Names an object among those of its kind. */
export function keyOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

/** Names an object among all that are owned. */
export function kindKeyOf(object: KubeObject): string {
  return `${object.kind}/${keyOf(object)}`;
}
