/** A run whose services are pods of their own, over Kafka, Temporal and a shared volume in the same cluster; a pod of each role is deleted by force in turn. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { conditionOf, runIdOf, type TrainingRun } from '../../k8s/operator/training-run.js';
import { writeEnduringRecipe } from '../faults/harness/recipes.js';
import { newHome } from '../support/homes.js';
import { apply, kubectl, kubectlOk, objectsIn, readRun, stemma, until, weightsOf, whenRun } from '../support/running-cluster.js';

const NAMESPACE = 'cluster-distributed';
const ROLES = ['gateway', 'worker', 'learner', 'rollout', 'teacher-scoring', 'distiller'];
/** Two cores hold six of these beside Kafka, Temporal and the cluster itself. Without limits of its own a role has the usual ones: a sidecar needs 0.7 to 1.5 GiB. */
const little = { resources: { requests: { cpu: '50m', memory: '1Gi' } } };
const roles = {
  gateway: little, worker: little, learner: little, distiller: little,
  rollout: { ...little, replicas: { min: 1, max: 1, episodesPerReplica: 64 } }, teacherScoring: { ...little, replicas: { min: 1, max: 1, episodesPerReplica: 64 } },
};

const distributed = (name: string, recipe: object): object => ({
  apiVersion: 'stemma.dev/v1alpha1', kind: 'TrainingRun', metadata: { name, namespace: NAMESPACE },
  spec: { recipe, roles, log: { brokers: ['kafka.stemma-system:9092'] }, blobs: { claim: 'blobs' }, temporal: { address: 'temporal.stemma-system:7233' } },
});
const reason = (run: TrainingRun, type: string): string | undefined => conditionOf(run, type)?.reason;

beforeAll(async () => {
  await kubectl(['delete', 'namespace', NAMESPACE, '--ignore-not-found', '--timeout=300s']);
  await apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } });
  // One node: a volume of one node is one of all pods.
  await apply({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: 'blobs', namespace: NAMESPACE }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '5Gi' } } } });
});
afterAll(() => kubectlOk(['delete', 'namespace', NAMESPACE, '--ignore-not-found', '--timeout=300s']));

test('over Kafka it ends in the weights of one pod, clean, and leaves nothing behind', async () => {
  const single = { namespace: NAMESPACE, name: 'single' };
  await apply({
    apiVersion: 'stemma.dev/v1alpha1', kind: 'TrainingRun', metadata: single,
    spec: { recipe: { name: 'micro' }, embedded: true, roles: { allInOne: { resources: { requests: { cpu: '500m', memory: '2Gi' } } } } },
  });
  await kubectlOk(['wait', '--for=condition=Completed', 'trainingrun/single', '--namespace', NAMESPACE, '--timeout=900s']);
  const weights = await weightsOf('single-0', single);
  await kubectlOk(['delete', 'trainingrun', 'single', '--namespace', NAMESPACE, '--timeout=300s']);

  const at = { namespace: NAMESPACE, name: 'apart' };
  await apply(distributed(at.name, { name: 'micro' }));
  await whenRun(at, (run) => run.status?.phase === 'Running');
  await kubectlOk(['wait', '--for=condition=Completed', 'trainingrun/apart', '--namespace', NAMESPACE, '--timeout=1200s']);
  expect(await stemma('deployment/apart-gateway', at, ['verify', runIdOf(await readRun(at))])).toMatch(/^CLEAN/m);
  expect(await weightsOf('deployment/apart-gateway', at)).toBe(weights);
  await kubectlOk(['delete', 'trainingrun', 'apart', '--namespace', NAMESPACE, '--timeout=300s']);
  await until('objects of the run', () => objectsIn(NAMESPACE), (names) => names.every((name) => name === 'persistentvolumeclaim/blobs'));
});

test('a pod of each role in turn is deleted by force: the same weights', async () => {
  const recipe = { inline: readFileSync(writeEnduringRecipe(newHome()).file, 'utf8') };
  const ends = async (name: string): Promise<string> => {
    const at = { namespace: NAMESPACE, name };
    await kubectlOk(['wait', '--for=condition=Completed', `trainingrun/${name}`, '--namespace', NAMESPACE, '--timeout=1800s']);
    expect(await stemma(`deployment/${name}-gateway`, at, ['verify', runIdOf(await readRun(at))])).toMatch(/^CLEAN/m);
    const weights = await weightsOf(`deployment/${name}-gateway`, at);
    await kubectlOk(['delete', 'trainingrun', name, '--namespace', NAMESPACE, '--timeout=300s']);
    return weights;
  };
  await apply(distributed('alone', recipe));
  const undisturbed = await ends('alone');

  const at = { namespace: NAMESPACE, name: 'killed' };
  await apply(distributed(at.name, recipe));
  for (const role of ROLES) {
    // The distiller computes in the last stage only.
    const before = await whenRun(at, (run) => reason(run, 'Running') === 'Training' && (role !== 'distiller' || run.status?.stage === 'distill'));
    await kubectlOk(['delete', 'pods', '--namespace', NAMESPACE, '--selector', `stemma.dev/run=${at.name},app.kubernetes.io/component=${role}`, '--force', '--grace-period=0']);
    await whenRun(at, (run) => reason(run, 'Running') === 'Training' && (run.status?.stage !== before.status?.stage || (run.status?.step ?? 0) > (before.status?.step ?? 0)));
  }
  expect(await ends(at.name)).toBe(undisturbed);
}, 3_600_000);
