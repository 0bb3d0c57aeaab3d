/** Kueue, where it is installed: a label puts a run's pods into a queue, and they start when it admits them. Elsewhere nobody would read the label. */
import { isRefusal, type KubeApi } from './api.js';
import type { KubeObject } from './resources.js';

export const QUEUE_LABEL = 'kueue.x-k8s.io/queue-name';
const GROUP = 'kueue.x-k8s.io';
/** It is installed and queues are made by people: seldom. */
const KNOWN_FOR_MS = 60_000;

/** `came-later`: Kueue is here and the pods were before; it lets nobody label what has pods. */
export type Queue = 'ready' | 'missing' | 'no-kueue' | 'came-later';

type Found = Exclude<Queue, 'came-later'>;

export interface Queues {
  /** Of the LocalQueue of that name; as it was at most a minute ago. */
  find(namespace: string, name: string): Promise<Found>;
}

export function openQueues(api: KubeApi, now: () => number): Queues {
  const known = new Map<string, { readonly queue: Found; readonly atMs: number }>();
  return {
    async find(namespace, name) {
      const key = `${namespace}/${name}`;
      const last = known.get(key);
      if (last !== undefined && now() - last.atMs < KNOWN_FOR_MS) return last.queue;
      const queue = await look(api, namespace, name);
      known.set(key, { queue, atMs: now() });
      return queue;
    },
  };
}

/** Of a run with these objects. What its workloads began with they keep. Pure. */
export function queueOfRun(found: Found, live: Iterable<KubeObject>): Queue {
  const workloads = [...live].filter(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet');
  const unlabelled = workloads.length > 0 && workloads.every(({ metadata }) => metadata.labels?.[QUEUE_LABEL] === undefined);
  return unlabelled && found !== 'no-kueue' ? 'came-later' : found;
}

interface ServedGroup {
  readonly name: string;
  readonly preferredVersion: { readonly groupVersion: string };
}

async function look(api: KubeApi, namespace: string, name: string): Promise<Found> {
  const { groups } = await api.call<{ groups: readonly ServedGroup[] }>({ method: 'GET', path: '/apis' });
  const served = groups.find((group) => group.name === GROUP);
  if (served === undefined) return 'no-kueue';
  try {
    await api.call<object>({ method: 'GET', path: `/apis/${served.preferredVersion.groupVersion}/namespaces/${namespace}/localqueues/${name}` });
    return 'ready';
  } catch (error) {
    if (isRefusal(error, 'NotFound')) return 'missing';
    throw error;
  }
}
