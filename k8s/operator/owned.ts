/** The objects of runs and teachers as mirrored, by owner. */
import { MANAGED_BY } from './desired.js';
import type { KubeApi } from './api.js';
import { openMirror, type Mirror } from './mirror.js';
import { keyOf, kindKeyOf, OWNED_KINDS, type KubeObject, type OwnedKind } from './resources.js';

export interface Owned {
  readonly synced: Promise<unknown>;
  get(kind: OwnedKind, namespace: string, name: string): KubeObject | undefined;
  /** By kind and key. */
  of(owner: KubeObject): Map<string, KubeObject>;
}

export interface OwnedSpec {
  readonly api: KubeApi;
  readonly namespace?: string;
  readonly relistSeconds: number;
  /** An object of this owner changed; both as in keys of owners: kind/namespace/name. */
  readonly onChange: (owner: string) => void;
  readonly onTrouble: (error: unknown) => void;
}

export function openOwned(spec: OwnedSpec, signal: AbortSignal): Owned {
  // Objects by the uid of their owner: a look at a thousand runs does not read all objects a thousand times.
  const byOwner = new Map<string, Map<string, KubeObject>>();
  const mirrors = new Map<OwnedKind, Mirror<KubeObject>>();
  for (const kind of OWNED_KINDS) {
    const mirror: Mirror<KubeObject> = openMirror<KubeObject>({
      ...spec, kind, labelSelector: `app.kubernetes.io/managed-by=${MANAGED_BY}`,
      onChange(object) {
        const owner = ownerOf(object);
        if (owner === undefined) return;
        const held = byOwner.get(owner.uid) ?? new Map<string, KubeObject>();
        const present = mirrors.get(kind)?.get(keyOf(object));
        if (present && ownerOf(present)?.uid === owner.uid) held.set(kindKeyOf(object), present);
        else held.delete(kindKeyOf(object));
        if (held.size > 0) byOwner.set(owner.uid, held);
        else byOwner.delete(owner.uid);
        spec.onChange(`${owner.kind}/${object.metadata.namespace}/${owner.name}`);
      },
    }, signal);
    mirrors.set(kind, mirror);
  }
  return {
    synced: Promise.all([...mirrors.values()].map((mirror) => mirror.synced)),
    get: (kind, namespace, name) => mirrors.get(kind)?.get(`${namespace}/${name}`),
    of: (owner) => new Map(byOwner.get(owner.metadata.uid ?? '')),
  };
}

function ownerOf({ metadata }: KubeObject): { readonly kind: string; readonly name: string; readonly uid: string } | undefined {
  return metadata.ownerReferences?.find(({ controller, kind }) => controller === true && (kind === 'TrainingRun' || kind === 'Teacher'));
}
