/** The operator in this process, with its calls counted, and killed at a given one; and what it leaves in the API server. */
import { createRegistry } from '../../services/runtime/metrics.js';
import { createLogger } from '../../services/runtime/logger.js';
import type { KubeApi, KubeCall } from '../../k8s/operator/api.js';
import { startOperator, type Operator, type OperatorOptions, type Timing } from '../../k8s/operator/operator.js';
import { OWNED_KINDS, pathOf, type KubeObject } from '../../k8s/operator/resources.js';
import type { TrainingRun } from '../../k8s/operator/training-run.js';
import type { RealKube } from './real-kube.js';

export interface TestOperator extends Operator {
  readonly calls: readonly KubeCall[];
  writes(): readonly KubeCall[];
  /** Resolves when it was killed; only with `kill`. */
  readonly killed: Promise<void>;
}

export interface Kill {
  /** Which write, from 1 on. */
  readonly atWrite: number;
  /** Whether that write still reaches the server, without its answer coming back. */
  readonly arrives: boolean;
}

export interface TestOperatorOptions {
  readonly namespace: string;
  readonly gateway?: string;
  readonly identity?: string;
  readonly kill?: Kill;
  readonly timing?: Partial<Timing>;
  readonly recipePath?: OperatorOptions['recipePath'];
  /** Else that of the runs. */
  readonly leaseNamespace?: string;
  /** Else an administrator's. */
  readonly config?: OperatorOptions['config'];
}

/** Quick looks; time-outs long enough for a loaded machine. */
const TIMING: Partial<Timing> = { leaseMs: 20_000, heldMs: 10_000, leaseRetryMs: 250, lookEveryMs: 100, callMs: 9_000, relistSeconds: 60 };
let operators = 0;

export function startTestOperator(kube: RealKube, { namespace, gateway, identity = `operator-${(operators += 1)}`, kill, timing, recipePath, leaseNamespace = namespace, config = kube.config }: TestOperatorOptions): TestOperator {
  const calls: KubeCall[] = [];
  let markKilled!: () => void;
  const killed = new Promise<void>((resolve) => { markKilled = resolve; });
  let dead = false;
  const die = (): never => {
    dead = true;
    markKilled();
    throw new Error('killed');
  };
  const wrapApi = (api: KubeApi): KubeApi => ({
    ...api,
    async call<T>(call: KubeCall): Promise<T> {
      if (dead) throw new Error('killed');
      calls.push(call);
      const isLast = kill !== undefined && call.method !== 'GET' && calls.filter(({ method }) => method !== 'GET').length === kill.atWrite;
      if (isLast && !kill.arrives) die();
      const answer = await api.call<T>(call);
      return isLast || dead ? die() : answer;
    },
  });
  const operator = startOperator({
    config, logger: createLogger({ service: 'operator', level: 'silent', file: '' }), registry: createRegistry({ processFigures: false }),
    identity, leaseNamespace, namespace, image: 'stemma:1', timing: { ...TIMING, ...timing }, wrapApi, recipePath,
    // Nobody answers on port 9.
    gatewayAddress: () => gateway ?? '127.0.0.1:9',
  });
  return { ...operator, calls, killed, writes: () => calls.filter(({ method }) => method !== 'GET') };
}

export async function readRun(kube: RealKube, namespace: string, name: string): Promise<TrainingRun> {
  return kube.api.call<TrainingRun>({ method: 'GET', path: pathOf('TrainingRun', namespace, name) });
}

/** The first state of the run for which this holds. */
export async function whenRun(kube: RealKube, { namespace, name }: { namespace: string; name: string }, holds: (run: TrainingRun) => boolean): Promise<TrainingRun> {
  const found = new AbortController();
  let last: TrainingRun = await readRun(kube, namespace, name);
  if (holds(last)) return last;
  await kube.api.watch<TrainingRun>(pathOf('TrainingRun', namespace), { resourceVersion: '0', fieldSelector: `metadata.name=${name}`, timeoutSeconds: '120' }, ({ type, object }) => {
    if (type === 'BOOKMARK' || found.signal.aborted) return;
    last = object;
    if (holds(object)) found.abort();
  }, found.signal).catch((error: unknown) => {
    if (!found.signal.aborted) throw error;
  });
  if (!found.signal.aborted) throw new Error(`it never came to that: ${JSON.stringify(last.status, null, 1)}`);
  return last;
}

/** Everything of the operator's in the namespace, by kind and name, without what the server adds. */
export async function ownedObjects(kube: RealKube, namespace: string): Promise<Map<string, KubeObject>> {
  const found = new Map<string, KubeObject>();
  for (const kind of [...OWNED_KINDS, 'Secret'] as const) {
    const { items } = await kube.api.call<{ items: KubeObject[] }>({ method: 'GET', path: pathOf(kind, namespace), query: { labelSelector: 'app.kubernetes.io/managed-by=stemma-operator' } });
    for (const item of items) found.set(`${kind}/${item.metadata.name}`, item);
  }
  return found;
}

/** What two operators must agree on. Secrets are random, ids and times are the server's, and each works in a namespace of its own. */
export function meaningOf(objects: ReadonlyMap<string, KubeObject>): unknown {
  return [...objects].map(([key, object]) => {
    const { metadata: { namespace, labels, annotations, ownerReferences }, data, spec: said } = object as KubeObject & { data?: object; spec?: object };
    const spec = JSON.parse(JSON.stringify(said ?? null).replaceAll(`"${namespace}"`, '"NAMESPACE"')) as unknown;
    const owners = ownerReferences?.map(({ kind, name }) => `${kind}/${name}`);
    return { key, labels, annotations, owners, spec, data: key.startsWith('Secret/') ? Object.keys(data ?? {}) : data };
  });
}
