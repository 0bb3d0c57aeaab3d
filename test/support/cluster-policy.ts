/** What every object that we put into a cluster must be like, whoever wrote it: a manifest or the operator. One line a problem. */

interface Container {
  readonly name: string;
  readonly image?: string;
  readonly env?: readonly { readonly name: string; readonly value?: string; readonly valueFrom?: { readonly secretKeyRef?: object } }[];
  readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
  readonly resources?: { readonly requests?: Quantities; readonly limits?: Quantities };
  readonly securityContext?: { readonly allowPrivilegeEscalation?: boolean; readonly readOnlyRootFilesystem?: boolean; readonly capabilities?: { readonly drop?: readonly string[]; readonly add?: readonly string[] }; readonly privileged?: boolean };
  readonly startupProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly livenessProbe?: Probe;
}
type Quantities = { readonly [name: string]: string | number };
interface Probe {
  readonly httpGet?: { readonly path: string };
  readonly grpc?: object;
  readonly tcpSocket?: object;
}
interface PodSpec {
  readonly serviceAccountName?: string;
  readonly automountServiceAccountToken?: boolean;
  readonly enableServiceLinks?: boolean;
  readonly hostNetwork?: boolean;
  readonly hostPID?: boolean;
  readonly terminationGracePeriodSeconds?: number;
  readonly securityContext?: { readonly runAsNonRoot?: boolean; readonly runAsUser?: number; readonly seccompProfile?: { readonly type: string } };
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes?: readonly { readonly name: string; readonly hostPath?: object }[];
}
type Labels = { readonly [name: string]: string };
interface Selector {
  readonly matchLabels?: Labels;
}
/** As far as any of our kinds has it. */
export interface ClusterObject {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Labels };
  readonly data?: object;
  readonly rules?: readonly { readonly apiGroups?: readonly string[]; readonly resources?: readonly string[]; readonly verbs: readonly string[] }[];
  readonly subjects?: readonly { readonly kind: string; readonly name: string }[];
  readonly spec?: {
    readonly replicas?: number;
    readonly selector?: Selector & Labels;
    readonly podSelector?: Selector;
    readonly policyTypes?: readonly string[];
    readonly minAvailable?: unknown;
    readonly maxUnavailable?: unknown;
    readonly ports?: readonly { readonly targetPort?: string | number }[];
    readonly template?: { readonly metadata?: { readonly labels?: Labels }; readonly spec: PodSpec };
  };
}

/** The longest that a pod of a run is given to end: a snapshot of a large model. */
const LONGEST_STEP_BOUNDARY_SECONDS = 120;
/** Only these may ask the API server for anything. */
const WITH_ACCOUNT = ['stemma-operator'];

export function policyProblems(objects: readonly ClusterObject[]): string[] {
  return objects.flatMap((object) => {
    const name = `${object.kind}/${object.metadata.name}`;
    return [...podProblems(object), ...budgetProblems(object), ...serviceProblems(object, objects), ...networkProblems(object, objects), ...roleProblems(object), ...secretProblems(object)].map((problem) => `${name}: ${problem}`);
  });
}

/** What must not be, and how to say it. */
type Rules<T> = readonly (readonly [broken: (of: T) => boolean, problem: string])[];

const broken = <T>(rules: Rules<T>, of: T): string[] => rules.filter(([isBroken]) => isBroken(of)).map(([, problem]) => problem);

const POD_RULES: Rules<PodSpec> = [
  [({ securityContext: may }) => may?.runAsNonRoot !== true || (may.runAsUser ?? 0) < 1000, 'its pods may run as root'],
  [({ securityContext: may }) => may?.seccompProfile?.type !== 'RuntimeDefault', 'its pods have no seccomp profile'],
  [({ hostNetwork, hostPID, volumes = [] }) => hostNetwork === true || hostPID === true || volumes.some(({ hostPath }) => hostPath !== undefined), 'its pods see the node'],
  [({ enableServiceLinks }) => enableServiceLinks !== false, 'its pods get variables of other services'],
  [({ serviceAccountName, automountServiceAccountToken }) => serviceAccountName === undefined && automountServiceAccountToken !== false, 'its pods get a token that they do not need'],
  [({ serviceAccountName }) => serviceAccountName !== undefined && !WITH_ACCOUNT.includes(serviceAccountName), 'its pods are an account that pods must not be'],
  [({ terminationGracePeriodSeconds }) => terminationGracePeriodSeconds === undefined, 'nobody has thought about how long its pods may take to end'],
];

const CONTAINER_RULES: Rules<Container> = [
  [({ image = '' }) => !/^[^:@]+(:\d+)?\/?[^:@]*(:[A-Za-z0-9._-]+|@sha256:[0-9a-f]{64})$/.test(image) || image.endsWith(':latest'), 'its image names no version'],
  [({ securityContext: may }) => may?.allowPrivilegeEscalation !== false || may.privileged === true, 'may gain privileges'],
  [({ securityContext: may }) => may?.readOnlyRootFilesystem !== true, 'may write to its root file system'],
  [({ securityContext: may }) => may?.capabilities?.drop?.includes('ALL') !== true || (may.capabilities.add ?? []).length > 0, 'has capabilities'],
  [({ resources }) => resources?.requests?.['cpu'] === undefined || resources.requests['memory'] === undefined, 'asks for no cpu or memory'],
  [({ resources }) => resources?.limits?.['memory'] === undefined, 'has no memory limit'],
  [({ resources }) => bytesOf(resources?.requests?.['memory'] ?? 0) > bytesOf(resources?.limits?.['memory'] ?? Infinity), 'asks for more memory than its limit'],
  [({ startupProbe, readinessProbe, livenessProbe }) => [startupProbe, readinessProbe, livenessProbe].some((probe) => probe === undefined), 'lacks a probe'],
  [({ readinessProbe: ready, livenessProbe: live }) => ready?.httpGet !== undefined && ready.httpGet.path === live?.httpGet?.path, 'is ready whenever it is alive: two questions, one answer'],
  [({ env = [] }) => env.some(({ name, value }) => value !== undefined && /(PASSWORD|TOKEN|SECRET|_KEY)$/.test(name)), 'has a secret in the open'],
];

function podProblems({ spec }: ClusterObject): string[] {
  const template = spec?.template;
  if (template === undefined) return [];
  const { containers, initContainers = [], terminationGracePeriodSeconds = 0 } = template.spec;
  const ofARun = template.metadata?.labels?.['app.kubernetes.io/name'] === 'stemma';
  return [
    ...broken(POD_RULES, template.spec),
    ...when(ofARun && terminationGracePeriodSeconds < LONGEST_STEP_BOUNDARY_SECONDS, 'its pods are killed before a step boundary'),
    ...[...containers, ...initContainers].flatMap((container) => broken(CONTAINER_RULES, container).map((problem) => `container ${container.name}: ${problem}`)),
  ];
}

function budgetProblems({ kind, spec }: ClusterObject): string[] {
  if (kind !== 'PodDisruptionBudget') return [];
  return when(spec?.minAvailable !== undefined || spec?.maxUnavailable === undefined || spec.maxUnavailable === 0 || spec.maxUnavailable === '0%', 'blocks the drain of a node where there is one replica');
}

function serviceProblems({ kind, metadata, spec }: ClusterObject, objects: readonly ClusterObject[]): string[] {
  if (kind !== 'Service' || spec === undefined) return [];
  const pods = objects.filter((object) => object.spec?.template !== undefined && object.metadata.namespace === metadata.namespace && covers(spec.selector as Labels | undefined, object.spec.template.metadata?.labels));
  const names = new Set(pods.flatMap((object) => object.spec?.template?.spec.containers ?? []).flatMap(({ ports = [] }) => ports.flatMap(({ name, containerPort }) => [name, containerPort])));
  return [
    ...when(pods.length === 0, 'selects pods that nobody makes'),
    ...(spec.ports ?? []).flatMap(({ targetPort }) => when(pods.length > 0 && !names.has(targetPort), `points at port ${targetPort}, which its pods do not have`)),
  ];
}

/** Each pod is covered by a policy, or by all that are not named, in both directions. */
function networkProblems({ metadata, spec }: ClusterObject, objects: readonly ClusterObject[]): string[] {
  const labels = spec?.template?.metadata?.labels;
  if (labels === undefined) return [];
  const mine = objects.filter((object) => object.kind === 'NetworkPolicy' && object.metadata.namespace === metadata.namespace && covers(object.spec?.podSelector?.matchLabels ?? {}, labels));
  return ['Ingress', 'Egress'].flatMap((way) => when(!mine.some((policy) => policy.spec?.policyTypes?.includes(way)), `no NetworkPolicy holds back its pods' ${way}`));
}

function roleProblems({ rules = [], subjects = [] }: ClusterObject): string[] {
  return [
    ...rules.flatMap(({ apiGroups = [], resources = [], verbs }) => when([...apiGroups, ...resources, ...verbs].includes('*'), 'grants everything of a kind')),
    ...rules.flatMap(({ resources = [], verbs }) => when(resources.includes('secrets') && verbs.some((verb) => ['list', 'watch', 'update', 'patch'].includes(verb)), 'reads or changes all secrets')),
    ...rules.flatMap(({ resources = [] }) => when(resources.some((resource) => /^(pods\/exec|pods\/attach|nodes|roles|clusterroles|rolebindings|clusterrolebindings|serviceaccounts\/token)$/.test(resource)), 'grants what leads to everything')),
    ...when(subjects.some(({ name }) => name === 'default' || name.startsWith('system:')), 'gives an account that all pods have rights'),
  ];
}

function secretProblems({ kind, data }: ClusterObject): string[] {
  return when(kind === 'Secret' && Object.keys(data ?? {}).length > 0, 'a secret is written down');
}

function covers(selector: Labels | undefined, labels: Labels | undefined): boolean {
  return selector !== undefined && Object.entries(selector).every(([name, value]) => labels?.[name] === value);
}

function when(holds: boolean, problem: string): string[] {
  return holds ? [problem] : [];
}

function bytesOf(quantity: string | number): number {
  const [, number = '0', unit = ''] = /^(\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti)?$/.exec(String(quantity)) ?? (quantity === Infinity ? ['', 'Infinity'] : []);
  return Number(number) * 1024 ** ['', 'Ki', 'Mi', 'Gi', 'Ti'].indexOf(unit);
}
