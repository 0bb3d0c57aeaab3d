/**
 * Whom the pods of a run or a teacher may speak with, each flow by name; all else is denied. Names cannot be written into a
 * NetworkPolicy, so brokers, Temporal and buckets are allowed by port. Pure.
 */
import { bucketOf } from '../../services/runtime/blob-place.js';
import { PORTS } from './pod.js';
import type { Surroundings } from './training-run.js';

type Labels = { readonly [label: string]: string };

interface Flow {
  readonly from?: readonly object[];
  readonly to?: readonly object[];
  readonly ports: readonly { readonly port: number; readonly protocol: 'TCP' | 'UDP' }[];
}

/** Pods of the run's namespace that carry it may ask its gateway. */
export const GATEWAY_CLIENT: Labels = { 'stemma.dev/gateway-client': 'true' };

const tcp = (port: number): Flow['ports'][number] => ({ port, protocol: 'TCP' });
const podsWith = (matchLabels: Labels): object => ({ podSelector: { matchLabels } });

/** Only the operator's own pods, of whatever namespace it works in. */
const operatorIn = (namespace: string): object => ({
  namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } }, podSelector: { matchLabels: { 'app.kubernetes.io/name': 'stemma-operator' } },
});

/** Prometheus, wherever it is: numbers only. */
const MEASURED: Flow = { from: [{ namespaceSelector: {} }], ports: [tcp(PORTS.metrics)] };
const NAMES: Flow = { to: [{ namespaceSelector: {} }], ports: [{ port: 53, protocol: 'UDP' }, tcp(53)] };

/** host:port of brokers and Temporal, the bucket's endpoint. */
function shared({ log, blobs, temporal }: Surroundings): Flow[] {
  const bucket = blobs?.bucket === undefined ? null : bucketOf(blobs.bucket);
  const endpoint = bucket === null || typeof bucket === 'string' ? undefined : bucket.endpoint;
  const ports = [
    ...(log?.brokers ?? []).map(portOf),
    ...(temporal === undefined ? [] : [portOf(temporal.address)]),
    ...(endpoint === undefined ? [] : [endpoint === '' ? 443 : portOfUrl(endpoint)]),
  ];
  return ports.length === 0 ? [] : [{ ports: [...new Set(ports)].sort((a, b) => a - b).map(tcp) }];
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}

function portOfUrl(url: string): number {
  const { port, protocol } = new URL(url);
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
}

export interface RunNetwork {
  /** Of all pods of the run. */
  readonly pods: Labels;
  /** Of the pods that score for it: its own, or a pool's. */
  readonly scoring: Labels;
  readonly surroundings: Surroundings;
  readonly embedded: boolean;
  readonly operatorNamespace: string;
}

export function runNetwork({ pods, scoring, surroundings, embedded, operatorNamespace }: RunNetwork): object {
  const asked: Flow = { from: [operatorIn(operatorNamespace), podsWith(pods), podsWith(GATEWAY_CLIENT)], ports: [tcp(PORTS.gateway)] };
  // An embedded run speaks with itself only, and that is not on the network.
  if (embedded) return policy(pods, { ingress: [asked, MEASURED], egress: [] });
  return policy(pods, {
    ingress: [asked, { from: [podsWith(pods)], ports: [tcp(PORTS.scoring)] }, MEASURED],
    egress: [NAMES, { to: [podsWith(pods)], ports: [tcp(PORTS.gateway)] }, { to: [podsWith(scoring)], ports: [tcp(PORTS.scoring)] }, ...shared(surroundings)],
  });
}

/** `askedBy`: a label that the pods of every run have. */
export function teacherNetwork(pods: Labels, askedBy: string, surroundings: Surroundings): object {
  const asked: Flow = { from: [{ podSelector: { matchExpressions: [{ key: askedBy, operator: 'Exists' }] } }], ports: [tcp(PORTS.scoring)] };
  return policy(pods, { ingress: [asked, MEASURED], egress: [NAMES, ...shared(surroundings)] });
}

function policy(pods: Labels, { ingress, egress }: { readonly ingress: readonly Flow[]; readonly egress: readonly Flow[] }): object {
  return { podSelector: { matchLabels: pods }, policyTypes: ['Ingress', 'Egress'], ingress, egress };
}
