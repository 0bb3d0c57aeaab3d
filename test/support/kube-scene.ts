/** What a suite about the operator stands on: an API server for all its tests, and for each a namespace, a gateway and its operators. */
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { pathOf } from '../../k8s/operator/resources.js';
import { conditionOf, type TrainingRun } from '../../k8s/operator/training-run.js';
import { openRealKube, type RealKube } from './real-kube.js';
import { startTestOperator, whenRun, type TestOperator, type TestOperatorOptions } from './test-operator.js';
import { openToldGateway, type ToldGateway } from './told-gateway.js';

/** Of the run that a test is about. */
export const NAME = 'first';

export const reasonOf = (run: TrainingRun, type: string): string | undefined => conditionOf(run, type)?.reason;

export interface KubeScene {
  kube(): RealKube;
  gateway(): ToldGateway;
  namespace(): string;
  /** Later calls are about this one. */
  newNamespace(): Promise<string>;
  operator(options?: Partial<TestOperatorOptions>): TestOperator;
  /** An embedded run of the micro recipe unless the spec says otherwise. */
  create(spec: object, name?: string): Promise<TrainingRun>;
  patch(spec: object): Promise<TrainingRun>;
  when(holds: (run: TrainingRun) => boolean): Promise<TrainingRun>;
  kubectl(...args: string[]): Promise<string>;
  /** After whoever looks has looked at runs so often. */
  afterLooks(looks: number): Promise<void>;
}

const LONGEST_MS = 60_000;
const LOOK_EVERY_MS = 20;

/** Something else makes it hold. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + LONGEST_MS;
  while (!await holds()) {
    if (performance.now() > deadline) throw new Error(`not within a minute: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

/** Within a suite: it sets up and tears down with it. */
export function kubeScene(): KubeScene {
  let kube: RealKube;
  let gateway: ToldGateway;
  let namespace = '';
  let count = 0;
  let operators: TestOperator[] = [];

  const newNamespace = async (): Promise<string> => {
    namespace = `n${(count += 1)}`;
    await kube.api.call({ method: 'POST', path: '/api/v1/namespaces', body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } } });
    return namespace;
  };
  beforeAll(async () => {
    // Else a claim that is deleted stays for ever, and nothing is gone with its owner.
    kube = await openRealKube({ controllers: ['garbage-collector-controller', 'persistentvolumeclaim-protection-controller'] });
    await kube.installKinds();
  });
  afterAll(() => kube?.dispose());
  beforeEach(async () => {
    gateway = await openToldGateway();
    await newNamespace();
  });
  afterEach(async () => {
    await Promise.all(operators.map((operator) => operator.close()));
    operators = [];
    await gateway.close();
  });

  return {
    kube: () => kube, gateway: () => gateway, namespace: () => namespace, newNamespace,
    operator(options = {}) {
      const started = startTestOperator(kube, { namespace, gateway: gateway.address, ...options });
      operators.push(started);
      return started;
    },
    create: (spec, name = NAME) => kube.api.call({
      method: 'POST', path: pathOf('TrainingRun', namespace), body: { apiVersion: 'stemma.dev/v1alpha1', kind: 'TrainingRun', metadata: { name }, spec: { recipe: { name: 'micro' }, embedded: true, ...spec } },
    }),
    patch: (spec) => kube.api.call({ method: 'PATCH', path: pathOf('TrainingRun', namespace, NAME), contentType: 'application/merge-patch+json', body: { spec } }),
    when: (holds) => whenRun(kube, { namespace, name: NAME }, holds),
    kubectl: (...args) => kube.kubectlOk(['-n', namespace, ...args]),
    async afterLooks(looks) {
      const before = gateway.asked();
      await until(`${looks} looks`, () => gateway.asked() >= before + looks);
    },
  };
}
