/** A run in one pod of a real cluster: applied, completed, verified, deleted; suspended, killed and amended it ends in the weights of the one left alone. */
import { existsSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { conditionOf, runIdOf, type TrainingRun } from '../../k8s/operator/training-run.js';
import { writeLongRecipe } from '../faults/harness/recipes.js';
import { newHome } from '../support/homes.js';
import { apply, kubectl, kubectlOk, objectsIn, readRun, stemma, until, volumesOf, weightsOf, whenRun } from '../support/running-cluster.js';

const NAMESPACE = 'cluster-embedded';
/** A machine with two cores has other pods beside it. */
const SMALL = { allInOne: { resources: { requests: { cpu: '500m', memory: '2Gi' } } } };

const embedded = (name: string, recipe: object): object => ({
  apiVersion: 'stemma.dev/v1alpha1', kind: 'TrainingRun', metadata: { name, namespace: NAMESPACE }, spec: { recipe, embedded: true, roles: SMALL },
});
const reason = (run: TrainingRun, type: string): string | undefined => conditionOf(run, type)?.reason;

beforeAll(async () => {
  await kubectl(['delete', 'namespace', NAMESPACE, '--ignore-not-found', '--timeout=300s']);
  await apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } });
});
afterAll(() => kubectlOk(['delete', 'namespace', NAMESPACE, '--ignore-not-found', '--timeout=300s']));

test('kubectl apply, Running, Completed, verified, deleted, nothing left', async () => {
  const at = { namespace: NAMESPACE, name: 'first' };
  await apply(embedded(at.name, { name: 'micro' }));
  await whenRun(at, (run) => run.status?.phase === 'Running');
  await kubectlOk(['wait', '--for=condition=Completed', 'trainingrun/first', '--namespace', NAMESPACE, '--timeout=900s']);
  expect(await stemma('first-0', at, ['verify', runIdOf(await readRun(at))])).toMatch(/^CLEAN/m);
  expect(await weightsOf('first-0', at)).toMatch(/^[0-9a-f]{64}$/);
  const folders = await volumesOf(NAMESPACE);
  expect(folders.map(existsSync)).toEqual([true]);
  await kubectlOk(['delete', 'trainingrun', 'first', '--namespace', NAMESPACE, '--timeout=300s']);
  await until('objects of the run', () => objectsIn(NAMESPACE), (names) => names.length === 0);
  await until('its volume', () => Promise.resolve(folders.filter(existsSync)), (left) => left.length === 0);
});

test('suspended, its pod deleted by force, amended: the same weights', async () => {
  const at = { namespace: NAMESPACE, name: 'second' };
  // Micro itself is over before an operator on a busy machine has looked at it twice.
  const recipe = { inline: readFileSync(writeLongRecipe(newHome()).file, 'utf8') };
  const edit = (spec: object): Promise<string> => kubectlOk(['patch', 'trainingrun', at.name, '--namespace', NAMESPACE, '--type', 'merge', '-p', JSON.stringify({ spec })]);
  // Of the run left alone; another kind of machine has others.
  await apply(embedded('alone', recipe));
  await kubectlOk(['wait', '--for=condition=Completed', 'trainingrun/alone', '--namespace', NAMESPACE, '--timeout=900s']);
  const undisturbed = await weightsOf('alone-0', { namespace: NAMESPACE, name: 'alone' });
  expect(undisturbed).toMatch(/^[0-9a-f]{64}$/);
  await kubectlOk(['delete', 'trainingrun', 'alone', '--namespace', NAMESPACE, '--timeout=300s']);

  await apply(embedded(at.name, recipe));
  await whenRun(at, (run) => run.status?.phase === 'Running' && (run.status.step ?? 0) >= 1);
  await edit({ suspend: true });
  const suspended = await whenRun(at, (run) => run.status?.phase === 'Suspended');
  expect(reason(suspended, 'Suspended')).toBe('Suspended');
  await until('no pod', () => kubectlOk(['get', 'pods', '--namespace', NAMESPACE, '-o', 'name']), (names) => names === '');
  await edit({ suspend: false });
  const { status } = await whenRun(at, (run) => reason(run, 'Running') === 'Training' && run.status?.stage !== 'sft');

  await kubectlOk(['delete', 'pod', 'second-0', '--namespace', NAMESPACE, '--force', '--grace-period=0']);
  await whenRun(at, (run) => reason(run, 'Running') === 'Training' && (run.status?.stage !== status?.stage || (run.status?.step ?? 0) > (status?.step ?? 0)));

  // To the value that it has: the weights stay comparable.
  await edit({ overrides: [{ stage: 'distill', path: 'optimizer.learningRate', value: 0.001 }] });
  const amended = await whenRun(at, (run) => reason(run, 'Amended') === 'InForce');
  expect(amended.status?.overrides).toMatchObject([{ stage: 'distill', path: 'optimizer.learningRate', valueJson: '0.001' }]);

  await kubectlOk(['wait', '--for=condition=Completed', 'trainingrun/second', '--namespace', NAMESPACE, '--timeout=900s']);
  expect(await stemma('second-0', at, ['verify', runIdOf(await readRun(at))])).toMatch(/^CLEAN/m);
  expect(await weightsOf('second-0', at)).toBe(undisturbed);
});
