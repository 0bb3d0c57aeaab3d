/** Rights by trying them, on a real API server with RBAC: with its own token the operator does all its work, and what it must not do is refused. */
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { kubeApi, type KubeApi, type KubeCall } from '../../../k8s/operator/api.js';
import { pathOf, type Kind } from '../../../k8s/operator/resources.js';
import { runIdOf } from '../../../k8s/operator/training-run.js';
import { packageRoot } from '../../../services/runtime/package-root.js';
import { reasonOf, until } from '../../support/kube-scene.js';
import { describeWithKube, openRealKube, type RealKube } from '../../support/real-kube.js';
import { ownedObjects, startTestOperator, whenRun } from '../../support/test-operator.js';
import { openToldGateway, type ToldGateway } from '../../support/told-gateway.js';
import { ON_A_CLUSTER } from '../../support/training-runs.js';

const SYSTEM = 'stemma-system';
const TEAM = 'team';
const NAME = 'first';

/** What nobody but the API server's own administrators does, as [what, call]. */
const MUST_NOT: readonly (readonly [string, KubeCall])[] = [
  ['list secrets of a namespace', { method: 'GET', path: pathOf('Secret', TEAM) }],
  ['list secrets everywhere', { method: 'GET', path: pathOf('Secret') }],
  ['change a secret', { method: 'PATCH', path: pathOf('Secret', TEAM, 'theirs'), body: { data: {} }, contentType: 'application/merge-patch+json' }],
  ['replace a secret', { method: 'PUT', path: pathOf('Secret', TEAM, 'theirs'), body: { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'theirs' } } }],
  ['watch secrets', { method: 'GET', path: pathOf('Secret', TEAM), query: { watch: 'true', timeoutSeconds: '1' } }],
  ['make a pod', { method: 'POST', path: `/api/v1/namespaces/${TEAM}/pods`, body: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'i:1' }] } } }],
  ['read pods', { method: 'GET', path: `/api/v1/namespaces/${TEAM}/pods` }],
  ['run a command in a pod', { method: 'POST', path: `/api/v1/namespaces/${TEAM}/pods/p/exec`, query: { command: 'sh' } }],
  ['read a pod’s log', { method: 'GET', path: `/api/v1/namespaces/${TEAM}/pods/p/log` }],
  ['evict a pod', { method: 'POST', path: `/api/v1/namespaces/${TEAM}/pods/p/eviction`, body: { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'p' } } }],
  ['read nodes', { method: 'GET', path: '/api/v1/nodes' }],
  ['change a node', { method: 'PATCH', path: '/api/v1/nodes/n', body: { spec: { unschedulable: true } }, contentType: 'application/merge-patch+json' }],
  ['make a namespace', { method: 'POST', path: '/api/v1/namespaces', body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'mine' } } }],
  ['delete a namespace', { method: 'DELETE', path: `/api/v1/namespaces/${TEAM}` }],
  ['give rights to everybody', { method: 'POST', path: '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', body: { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRoleBinding', metadata: { name: 'all' }, roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' }, subjects: [] } }],
  ['give rights in a namespace', { method: 'POST', path: `/apis/rbac.authorization.k8s.io/v1/namespaces/${TEAM}/rolebindings`, body: { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', metadata: { name: 'all' }, roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'admin' }, subjects: [] } }],
  ['widen its own role', { method: 'PATCH', path: '/apis/rbac.authorization.k8s.io/v1/clusterroles/stemma-operator', body: { rules: [] }, contentType: 'application/merge-patch+json' }],
  ['make a token of another account', { method: 'POST', path: `/api/v1/namespaces/${TEAM}/serviceaccounts/default/token`, body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} } }],
  ['change the kinds', { method: 'PATCH', path: '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/trainingruns.stemma.dev', body: { metadata: { labels: { a: 'b' } } }, contentType: 'application/merge-patch+json' }],
  ['put itself between the server and everybody', { method: 'POST', path: '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations', body: { apiVersion: 'admissionregistration.k8s.io/v1', kind: 'MutatingWebhookConfiguration', metadata: { name: 'w' } } }],
  ['make a run', { method: 'POST', path: pathOf('TrainingRun', TEAM), body: { apiVersion: 'stemma.dev/v1alpha1', kind: 'TrainingRun', metadata: { name: 'mine' }, spec: { recipe: { name: 'micro' }, embedded: true } } }],
  ['delete a run', { method: 'DELETE', path: pathOf('TrainingRun', TEAM, NAME) }],
  ['make a teacher', { method: 'POST', path: pathOf('Teacher', TEAM), body: { apiVersion: 'stemma.dev/v1alpha1', kind: 'Teacher', metadata: { name: 'mine' }, spec: {} } }],
  ['take another’s Lease', { method: 'PUT', path: pathOf('Lease', SYSTEM, 'theirs'), body: { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'theirs' } } }],
  ['lead from another namespace', { method: 'POST', path: pathOf('Lease', TEAM), body: { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'stemma-operator' } } }],
  ['delete its Lease', { method: 'DELETE', path: pathOf('Lease', SYSTEM, 'stemma-operator') }],
  ['read events', { method: 'GET', path: pathOf('Event', TEAM) }],
  ['make a Job', { method: 'POST', path: `/apis/batch/v1/namespaces/${TEAM}/jobs`, body: { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'j' } } }],
  ['make a DaemonSet', { method: 'POST', path: `/apis/apps/v1/namespaces/${TEAM}/daemonsets`, body: { apiVersion: 'apps/v1', kind: 'DaemonSet', metadata: { name: 'd' } } }],
  ['make a volume of a host’s folder', { method: 'POST', path: '/api/v1/persistentvolumes', body: { apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name: 'v' } } }],
  ['delete all deployments at once', { method: 'DELETE', path: pathOf('Deployment', TEAM) }],
];
/** Not what a person who edits a namespace's runs may do either. */
const EDITORS_MUST_NOT = ['list secrets everywhere', 'read nodes', 'change a node', 'make a namespace', 'give rights to everybody', 'widen its own role', 'change the kinds', 'make a volume of a host’s folder', 'put itself between the server and everybody'];

describeWithKube('rights', () => {
  let kube: RealKube;
  let gateway: ToldGateway;
  const apis: KubeApi[] = [];

  beforeAll(async () => {
    kube = await openRealKube({
      controllers: ['garbage-collector-controller', 'persistentvolumeclaim-protection-controller', 'clusterrole-aggregation-controller', 'serviceaccount-controller'],
      admission: ['OwnerReferencesPermissionEnforcement'],
    });
    await kube.installKinds();
    gateway = await openToldGateway();
    await kube.kubectlOk(['apply', '--server-side', '-k', join(packageRoot(), 'k8s', 'base')]);
    await kube.kubectlOk(['create', 'namespace', TEAM]);
    await kube.kubectlOk(['create', 'secret', 'generic', 'theirs', '--namespace', TEAM, '--from-literal=a=b']);
    await kube.kubectlOk(['create', 'serviceaccount', 'ann', '--namespace', TEAM]);
    await kube.kubectlOk(['create', 'serviceaccount', 'viv', '--namespace', TEAM]);
    await kube.kubectlOk(['create', 'rolebinding', 'ann', '--namespace', TEAM, '--clusterrole=edit', `--serviceaccount=${TEAM}:ann`]);
    await kube.kubectlOk(['create', 'rolebinding', 'viv', '--namespace', TEAM, '--clusterrole=view', `--serviceaccount=${TEAM}:viv`]);
    await until('the default account', async () => (await kube.kubectl(['get', 'serviceaccount', 'default', '--namespace', TEAM])).code === 0);
  });
  afterAll(async () => {
    for (const api of apis) api.close();
    await gateway?.close();
    await kube?.dispose();
  });

  /** As a pod of this account would be configured: by its token. */
  async function configOf(account: string, namespace: string): Promise<KubeConfig> {
    const token = (await kube.kubectlOk(['create', 'token', account, '--namespace', namespace])).trim();
    const config = new KubeConfig();
    config.loadFromOptions({
      clusters: [{ name: 't', server: kube.config.getCurrentCluster()?.server ?? '', skipTLSVerify: true }],
      users: [{ name: 't', token }], contexts: [{ name: 't', cluster: 't', user: 't' }], currentContext: 't',
    });
    return config;
  }
  async function as(account: string, namespace: string): Promise<(call: KubeCall) => Promise<string>> {
    const api = kubeApi(await configOf(account, namespace), { timeoutMs: 20_000 });
    apis.push(api);
    return (call) => api.call(call).then(() => 'allowed', (error: unknown) => (error as { reason?: string }).reason ?? String(error));
  }

  test.each(['embedded', 'of pods'])('the operator, with its own account, does all that a run %s needs, from apply to nothing left', async (where) => {
    const operator = startTestOperator(kube, { namespace: TEAM, leaseNamespace: SYSTEM, gateway: gateway.address, config: await configOf('stemma-operator', SYSTEM) });
    try {
      const spec = where === 'embedded' ? { embedded: true } : ON_A_CLUSTER;
      const run = await kube.api.call<Parameters<typeof runIdOf>[0]>({ method: 'POST', path: pathOf('TrainingRun', TEAM), body: { apiVersion: 'stemma.dev/v1alpha1', kind: 'TrainingRun', metadata: { name: NAME }, spec: { recipe: { name: 'micro' }, ...spec } } });
      const when = (holds: Parameters<typeof whenRun>[2]): ReturnType<typeof whenRun> => whenRun(kube, { namespace: TEAM, name: NAME }, holds);
      await when((seen) => seen.status?.phase === 'Running' && reasonOf(seen, 'Applied') === 'AsWanted');
      expect(await operator.health.ready()).toEqual([]);
      const patch = (change: object): Promise<unknown> => kube.kubectlOk(['patch', 'trun', NAME, '--namespace', TEAM, '--type', 'merge', '-p', JSON.stringify({ spec: change })]);
      await patch({ suspend: true });
      await when((seen) => seen.status?.phase === 'Suspended');
      await patch({ suspend: false });
      await when((seen) => seen.status?.phase === 'Running');
      await gateway.end(runIdOf(run));
      await kube.kubectlOk(['wait', '--for=condition=Completed', `trun/${NAME}`, '--namespace', TEAM, '--timeout=60s']);
      await kube.kubectlOk(['delete', 'trun', NAME, '--namespace', TEAM, '--timeout=60s']);
      expect([...(await ownedObjects(kube, TEAM)).keys()]).toEqual([]);
    } finally {
      await operator.close();
    }
  });

  test('the operator does none of these', async () => {
    const ask = await as('stemma-operator', SYSTEM);
    expect(MUST_NOT.length).toBeGreaterThanOrEqual(20);
    for (const [what, call] of MUST_NOT) expect([what, await ask(call)]).toEqual([what, 'Forbidden']);
    const token = (await kube.kubectlOk(['create', 'token', 'stemma-operator', '--namespace', SYSTEM])).trim();
    const asAdmin = await kube.kubectl(['--token', token, '--as=admin', '--as-group=system:masters', 'get', 'secrets', '--namespace', TEAM]);
    expect(asAdmin.stderr).toMatch(/cannot impersonate/);
  });

  test('the account that pods of runs have by default may do nothing at all', async () => {
    const ask = await as('default', TEAM);
    const reads: Kind[] = ['TrainingRun', 'Teacher', 'ConfigMap', 'Service', 'Deployment', 'NetworkPolicy'];
    const more = reads.map((kind): readonly [string, KubeCall] => [`read ${kind}s`, { method: 'GET', path: pathOf(kind, TEAM) }]);
    for (const [what, call] of [...MUST_NOT, ...more]) expect([what, await ask(call)]).toEqual([what, 'Forbidden']);
  });

  test('who edits a namespace edits its runs but not what they say of themselves; who views it changes nothing', async () => {
    const [ann, viv] = [await as('ann', TEAM), await as('viv', TEAM)];
    const make: KubeCall = { method: 'POST', path: pathOf('TrainingRun', TEAM), body: { apiVersion: 'stemma.dev/v1alpha1', kind: 'TrainingRun', metadata: { name: 'hers' }, spec: { recipe: { name: 'micro' }, embedded: true } } };
    const say: KubeCall = { method: 'PATCH', path: `${pathOf('TrainingRun', TEAM, 'hers')}/status`, body: { status: { phase: 'Completed' } }, contentType: 'application/merge-patch+json' };
    await until('edit knows of runs', async () => (await ann({ method: 'GET', path: pathOf('TrainingRun', TEAM) })) === 'allowed');
    await until('view knows of runs', async () => (await viv({ method: 'GET', path: pathOf('TrainingRun', TEAM) })) === 'allowed');
    expect({ viv: await viv(make), ann: await ann(make), say: [await ann(say), await viv(say)] }).toEqual({ viv: 'Forbidden', ann: 'allowed', say: ['Forbidden', 'Forbidden'] });
    expect(await viv({ method: 'DELETE', path: pathOf('TrainingRun', TEAM, 'hers') })).toBe('Forbidden');
    for (const [what, call] of MUST_NOT.filter(([name]) => EDITORS_MUST_NOT.includes(name))) expect([what, await ann(call)]).toEqual([what, 'Forbidden']);
    expect(await ann({ method: 'DELETE', path: pathOf('TrainingRun', TEAM, 'hers') })).toBe('allowed');
  });
});
