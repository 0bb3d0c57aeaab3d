/** Pods of a role: what runs in them, what they may do, how they are asked whether they are well. Pure. */
import type { Plaintext } from '../../services/runtime/security-settings.js';
import type { KubeObject, ObjectMeta } from './resources.js';
import type { KafkaLog, Quantities, RolePod, SecretKey, Surroundings, TlsSecrets } from './training-run.js';

export const PORTS = { gateway: 7300, scoring: 7301, metrics: 9464 } as const;
/** Longer than the longest step boundary: an activity gives its work back within seconds, a snapshot of a large model takes longer. */
const TERMINATION_SECONDS = 120;
/** The user of deploy/images. */
const USER = 10_001;
const HOME = '/var/lib/stemma';
const BLOBS = '/blobs';
const SECRETS = '/etc/stemma/secrets';
export const RECIPE_DIRECTORY = '/etc/stemma/recipe';
/** In the Secret of the gateway's keys. */
export const KEYS_FILE = 'keys.json';

export type PodRole = 'gateway' | 'worker' | 'learner' | 'distiller' | 'rollout' | 'teacher-scoring' | 'all-in-one';

interface Needs {
  /** Computes: has a sidecar, and a GPU where the device is one. */
  readonly computes: boolean;
  readonly ports: readonly (keyof typeof PORTS)[];
  readonly requests: Quantities;
  /** Where the spec says nothing. None for the CPU: a throttled pod misses heartbeats, an idle core serves nobody. */
  readonly memoryLimit: string;
}

const NEEDS: { readonly [R in PodRole]: Needs } = {
  gateway: { computes: false, ports: ['gateway', 'metrics'], requests: { cpu: '100m', memory: '256Mi' }, memoryLimit: '1Gi' },
  worker: { computes: false, ports: ['metrics'], requests: { cpu: '250m', memory: '512Mi' }, memoryLimit: '2Gi' },
  learner: { computes: true, ports: ['metrics'], requests: { cpu: '1', memory: '2Gi' }, memoryLimit: '8Gi' },
  distiller: { computes: true, ports: ['metrics'], requests: { cpu: '1', memory: '2Gi' }, memoryLimit: '8Gi' },
  rollout: { computes: true, ports: ['metrics'], requests: { cpu: '1', memory: '2Gi' }, memoryLimit: '8Gi' },
  'teacher-scoring': { computes: true, ports: ['scoring', 'metrics'], requests: { cpu: '1', memory: '2Gi' }, memoryLimit: '8Gi' },
  'all-in-one': { computes: true, ports: ['gateway', 'metrics'], requests: { cpu: '2', memory: '4Gi' }, memoryLimit: '16Gi' },
};

export interface PodSpec {
  readonly role: PodRole;
  readonly image: string;
  readonly surroundings: Surroundings;
  readonly wanted: RolePod | undefined;
  readonly labels: { readonly [name: string]: string };
  /** host:port of teacher scoring, for those who ask it. */
  readonly scoringAddress?: string;
  /** ConfigMap with recipe.yaml. */
  readonly recipeConfigMap?: string;
  /** Secret with the gateway's keys. */
  readonly keysSecret?: string;
  /** Claim that holds the home of an embedded run; others have a home that goes with the pod. */
  readonly homeClaim?: string;
}

interface Volume {
  readonly name: string;
  readonly mountPath: string;
  readonly source: { readonly [kind: string]: unknown };
  readonly readOnly?: boolean;
}

export function podTemplate(spec: PodSpec): { readonly metadata: Partial<ObjectMeta>; readonly spec: object } {
  const { role, surroundings, wanted, labels } = spec;
  const volumes = volumesOf(spec);
  return {
    metadata: { labels },
    spec: {
      automountServiceAccountToken: false,
      // Else variables such as STEMMA_X_SERVICE_HOST appear, and a setting nobody knows is refused.
      enableServiceLinks: false,
      terminationGracePeriodSeconds: TERMINATION_SECONDS,
      securityContext: { runAsNonRoot: true, runAsUser: USER, runAsGroup: USER, fsGroup: USER, fsGroupChangePolicy: 'OnRootMismatch', seccompProfile: { type: 'RuntimeDefault' } },
      ...(NEEDS[role].computes && surroundings.priorityClassName !== undefined && { priorityClassName: surroundings.priorityClassName }),
      ...(wanted?.nodeSelector && { nodeSelector: wanted.nodeSelector }),
      ...(wanted?.tolerations && { tolerations: wanted.tolerations }),
      ...(role === 'rollout' && { topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'kubernetes.io/hostname', whenUnsatisfiable: 'ScheduleAnyway', labelSelector: { matchLabels: labels } }] }),
      containers: [containerOf(spec, volumes)],
      volumes: volumes.map(({ name, source }) => ({ name, ...source })),
    },
  };
}

/** The image's entry point is the `stemma` command. */
function containerOf(spec: PodSpec, volumes: readonly Volume[]): object {
  const { role, image } = spec;
  return {
    name: 'stemma', image, imagePullPolicy: 'IfNotPresent',
    args: role === 'all-in-one' ? ['up'] : ['serve', role],
    env: environmentOf(spec),
    ...(spec.surroundings.blobs?.secret !== undefined && { envFrom: [{ secretRef: { name: spec.surroundings.blobs.secret } }] }),
    ports: NEEDS[role].ports.map((name) => ({ name, containerPort: PORTS[name], protocol: 'TCP' })),
    resources: resourcesOf(spec),
    // Up to ten minutes for a large model's first load; then ready means "can serve now" and alive means "not wedged".
    startupProbe: probe(spec, '/readyz', { periodSeconds: 2, failureThreshold: 300 }),
    readinessProbe: probe(spec, '/readyz', { periodSeconds: 5, failureThreshold: 2 }),
    livenessProbe: probe(spec, '/healthz', { periodSeconds: 10, failureThreshold: 6 }),
    securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
    volumeMounts: volumes.map(({ name, mountPath, readOnly }) => ({ name, mountPath, ...(readOnly && { readOnly }) })),
  };
}

function probe({ surroundings: { tls } }: PodSpec, path: string, rhythm: { readonly periodSeconds: number; readonly failureThreshold: number }): object {
  return { httpGet: { path, port: 'metrics', scheme: tls ? 'HTTPS' : 'HTTP' }, timeoutSeconds: 5, successThreshold: 1, ...rhythm };
}

function resourcesOf({ role, surroundings, wanted }: PodSpec): object {
  const { computes, requests, memoryLimit } = NEEDS[role];
  const gpu = computes && surroundings.device === 'cuda' ? { 'nvidia.com/gpu': '1' } : {};
  const asked = wanted?.resources?.requests ?? {};
  const given = wanted?.resources?.limits ?? {};
  // A limit without a request is the request too, as Kubernetes has it.
  const memory = given['memory'] ?? larger(asked['memory'], memoryLimit);
  const usual = Object.fromEntries(Object.entries(requests).map(([name, quantity]) => [name, given[name] ?? quantity]));
  return { requests: { ...usual, ...asked }, limits: { ...gpu, memory, ...given } };
}

function larger(asked: string | number | undefined, usual: string): string | number {
  return asked !== undefined && bytesOf(asked) > bytesOf(usual) ? asked : usual;
}

/** Of quantities as k8s/crds takes them. */
function bytesOf(quantity: string | number): number {
  const [, number, prefix, binary] = /^([0-9.]+)([kmMGTPE]?)(i?)$/.exec(String(quantity).replace('Ki', 'ki')) ?? [];
  if (number === undefined) return 0;
  return Number(number) * (prefix === 'm' ? 1e-3 : (binary === 'i' ? 1024 : 1000) ** ['', 'k', 'M', 'G', 'T', 'P', 'E'].indexOf(prefix ?? ''));
}

function environmentOf({ role, surroundings, scoringAddress, keysSecret, homeClaim }: PodSpec): object[] {
  const { computes, ports } = NEEDS[role];
  const { log, blobs, temporal, threads, device } = surroundings;
  const settings: { readonly [name: string]: string | number | undefined } = {
    STEMMA_HOME: HOME, STEMMA_LISTEN_HOST: '0.0.0.0', STEMMA_METRICS_PORT: PORTS.metrics,
    STEMMA_GATEWAY_PORT: ports.includes('gateway') ? PORTS.gateway : undefined,
    STEMMA_SCORING_PORT: ports.includes('scoring') ? PORTS.scoring : undefined,
    STEMMA_THREADS: computes ? threads : undefined,
    STEMMA_DEVICE: computes ? device : undefined,
    STEMMA_BLOBS: homeClaim !== undefined ? undefined : blobs?.bucket ?? BLOBS,
    STEMMA_TEMPORAL_ADDRESS: role === 'teacher-scoring' ? undefined : temporal?.address,
    STEMMA_SCORING_ADDRESS: scoringAddress,
    STEMMA_KEYS_FILE: keysSecret && `${SECRETS}/gateway/${KEYS_FILE}`,
    ...tlsSettings({ surroundings, scoringAddress }),
    ...(log && kafkaSettings(log)),
  };
  return Object.entries(settings).flatMap(([name, value]) => (value === undefined ? [] : [{ name, value: String(value) }]));
}

/** What is not asked to be TLS is plain, and said to be. */
function tlsSettings({ surroundings: { log, blobs, temporal, tls }, scoringAddress }: Pick<PodSpec, 'surroundings' | 'scoringAddress'>): { readonly [name: string]: string | undefined } {
  const plain: readonly [Plaintext, boolean][] = [
    ['listen', !tls], ['scoring', !tls && scoringAddress !== undefined], ['temporal', temporal !== undefined && temporal.tls !== true], ['kafka', log?.tls === false],
    ['blobs', /[?&]endpoint=http:/.test(decodeURIComponent(blobs?.bucket ?? ''))],
  ];
  const file = (name: string): string | undefined => tls && `${SECRETS}/tls/${name}`;
  return {
    STEMMA_TLS_CERT_FILE: file('tls.crt'), STEMMA_TLS_KEY_FILE: file('tls.key'), STEMMA_TLS_CA_FILE: file('ca.crt'),
    STEMMA_TEMPORAL_TLS: temporal?.tls === true ? 'on' : undefined,
    STEMMA_INSECURE: plain.flatMap(([word, isPlain]) => (isPlain ? [word] : [])).join(',') || undefined,
  };
}

export function tlsSecretName({ secret, perRole }: TlsSecrets, role: PodRole): string {
  return perRole ? `${secret}-${role}` : secret;
}

/** Whole, not file by file: so its files change in the pod when they do in the Secret. */
function tlsVolume({ role, surroundings: { tls } }: PodSpec): Volume[] {
  if (tls === undefined) return [];
  return [{ name: 'secret-tls', mountPath: `${SECRETS}/tls`, readOnly: true, source: { secret: { secretName: tlsSecretName(tls, role), defaultMode: 0o440 } } }];
}

function kafkaSettings({ brokers, tls, caSecret, sasl }: KafkaLog): { readonly [name: string]: string | undefined } {
  return {
    STEMMA_LOG: `kafka://${brokers.join(',')}`,
    STEMMA_KAFKA_TLS: tls ? 'on' : undefined,
    STEMMA_KAFKA_CA_FILE: caSecret && `${SECRETS}/ca/${caSecret.key}`,
    STEMMA_KAFKA_SASL: sasl?.mechanism,
    STEMMA_KAFKA_USER: sasl?.user,
    STEMMA_KAFKA_PASSWORD_FILE: sasl && `${SECRETS}/sasl/${sasl.passwordSecret.key}`,
  };
}

/** The root file system is read-only: what is written goes to the home, to /tmp and to shared memory. */
function volumesOf(spec: PodSpec): Volume[] {
  const { role, surroundings: { log, blobs }, recipeConfigMap, keysSecret, homeClaim } = spec;
  const secret = (name: string, from: SecretKey | undefined): Volume[] => (from === undefined ? [] : [{
    name: `secret-${name}`, mountPath: `${SECRETS}/${name}`, readOnly: true, source: { secret: { secretName: from.name, items: [{ key: from.key, path: from.key }], defaultMode: 0o440 } },
  }]);
  return [
    { name: 'home', mountPath: HOME, source: homeClaim === undefined ? { emptyDir: {} } : { persistentVolumeClaim: { claimName: homeClaim } } },
    { name: 'tmp', mountPath: '/tmp', source: { emptyDir: {} } },
    ...(NEEDS[role].computes ? [{ name: 'shared-memory', mountPath: '/dev/shm', source: { emptyDir: { medium: 'Memory', sizeLimit: '2Gi' } } }] : []),
    ...(blobs?.claim === undefined ? [] : [{ name: 'blobs', mountPath: BLOBS, source: { persistentVolumeClaim: { claimName: blobs.claim } } }]),
    ...(recipeConfigMap === undefined ? [] : [{ name: 'recipe', mountPath: RECIPE_DIRECTORY, readOnly: true, source: { configMap: { name: recipeConfigMap, defaultMode: 0o444 } } }]),
    ...secret('gateway', keysSecret === undefined ? undefined : { name: keysSecret, key: KEYS_FILE }),
    ...tlsVolume(spec),
    ...secret('ca', log?.caSecret),
    ...secret('sasl', log?.sasl?.passwordSecret),
  ];
}

export type Desired = KubeObject & { readonly [part: string]: unknown };
