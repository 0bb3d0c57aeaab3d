/** The cluster that `npm run cluster` keeps on this machine, as a test sees it: through kubectl, as its users do. */
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { KUBECONFIG, STATE } from '../../deploy/cluster/layout.mjs';
import { runIdOf, type TrainingRun } from '../../k8s/operator/training-run.js';
import { kubectlOf } from './kubectl.js';
import { setUpPart } from './set-up-part.js';

const LOOK_EVERY_MS = 300;
/** A machine that does much else takes minutes for what takes seconds. */
const PATIENCE_MS = 900_000;

export const { kubectl, kubectlOk } = kubectlOf(() => join(setUpPart('kube'), 'kubectl'), KUBECONFIG);

export async function apply(object: object): Promise<void> {
  await kubectlOk(['apply', '-f', '-'], JSON.stringify(object));
}

/** A TrainingRun and what is around it. */
export interface RunInCluster {
  readonly namespace: string;
  readonly name: string;
}

export async function readRun({ namespace, name }: RunInCluster): Promise<TrainingRun> {
  return JSON.parse(await kubectlOk(['get', 'trainingrun', name, '--namespace', namespace, '-o', 'json'])) as TrainingRun;
}

/** The first state for which this holds; the API server may be away in between. */
export async function whenRun(at: RunInCluster, holds: (run: TrainingRun) => boolean): Promise<TrainingRun> {
  return until(`TrainingRun ${at.name}`, () => readRun(at), holds);
}

export async function until<T>(what: string, look: () => Promise<T>, holds: (seen: T) => boolean): Promise<T> {
  const deadline = performance.now() + PATIENCE_MS;
  let last: unknown;
  while (performance.now() < deadline) {
    try {
      const seen = await look();
      if (holds(seen)) return seen;
      last = seen;
    } catch (error) {
      last = error;
    }
    await delay(LOOK_EVERY_MS);
  }
  throw new Error(`${what}: it never came to that; last seen: ${last instanceof Error ? last.message : JSON.stringify(last, null, 1)}`);
}

/** What a user asks the run's pod, and what it says. */
export async function stemma(pod: string, { namespace }: RunInCluster, args: readonly string[]): Promise<string> {
  return kubectlOk(['exec', pod, '--namespace', namespace, '--', 'stemma', ...args]);
}

export async function weightsOf(pod: string, at: RunInCluster): Promise<string> {
  const status = await stemma(pod, at, ['status', runIdOf(await readRun(at))]);
  return /^weights sha256:([0-9a-f]{64})$/m.exec(status)?.[1] ?? `no weights in:\n${status}`;
}

const KINDS = 'pods,statefulsets,deployments,replicasets,services,endpointslices,configmaps,secrets,persistentvolumeclaims,poddisruptionbudgets,trainingruns';

/** Everything in the namespace that does not come with it. */
export async function objectsIn(namespace: string): Promise<readonly string[]> {
  const names = await kubectlOk(['get', KINDS, '--namespace', namespace, '-o', 'name']);
  return names.split('\n').filter((name) => name !== '' && name !== 'configmap/kube-root-ca.crt');
}

/** Folders on this machine that claims of the namespace are bound to. */
export async function volumesOf(namespace: string): Promise<readonly string[]> {
  interface Volume { readonly spec: { readonly claimRef?: { readonly namespace: string }; readonly hostPath?: { readonly path: string } } }
  const { items } = JSON.parse(await kubectlOk(['get', 'persistentvolumes', '-o', 'json'])) as { items: Volume[] };
  return items.filter(({ spec }) => spec.claimRef?.namespace === namespace).map(({ spec }) => join(STATE, 'volumes', basename(spec.hostPath?.path ?? '')));
}
