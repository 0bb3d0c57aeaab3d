/** One run in one pod, and everything around it disturbed in mid-run: it ends in the weights of the same recipe left alone. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { clusterPid, inside } from '../../deploy/cluster/host.mjs';
import { NODE } from '../../deploy/cluster/layout.mjs';
import { ROOT } from '../../deploy/setup/layout.mjs';
import { conditionOf, runIdOf, type TrainingRun } from '../../k8s/operator/training-run.js';
import { writeEnduringRecipe } from '../faults/harness/recipes.js';
import { newHome } from '../support/homes.js';
import { apply, kubectl, kubectlOk, readRun, stemma, until, weightsOf, whenRun } from '../support/running-cluster.js';

const NAMESPACE = 'cluster-disturbed';
const OPERATOR = ['deployment/stemma-operator', '--namespace', 'stemma-system'];
const SMALL = { allInOne: { resources: { requests: { cpu: '500m', memory: '2Gi' } } } };
const at = { namespace: NAMESPACE, name: 'disturbed' };
let undisturbed: string;

const recipe = readFileSync(writeEnduringRecipe(newHome()).file, 'utf8');
const long = (name: string): object => ({
  apiVersion: 'stemma.dev/v1alpha1', kind: 'TrainingRun', metadata: { name, namespace: NAMESPACE }, spec: { recipe: { inline: recipe }, embedded: true, roles: SMALL },
});
const reason = (run: TrainingRun, type: string): string | undefined => conditionOf(run, type)?.reason;

/** It commits steps, now and after this. */
async function goesOn(): Promise<void> {
  const before = await whenRun(at, (run) => reason(run, 'Running') === 'Training');
  await whenRun(at, (run) => reason(run, 'Running') === 'Training' && (run.status?.stage !== before.status?.stage || (run.status?.step ?? 0) > (before.status?.step ?? 0)));
}

/** Of a part of the cluster itself. */
function killPart(name: string): void {
  const { status, stderr } = inside(['sh', '-c', `kill -9 "$(cat /run/stemma/state/pids/${name})"`]);
  expect(status, stderr).toBe(0);
}

beforeAll(async () => {
  await kubectl(['delete', 'namespace', NAMESPACE, '--ignore-not-found', '--timeout=300s']);
  await apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } });
  await apply(long('alone'));
  await kubectlOk(['wait', '--for=condition=Completed', 'trainingrun/alone', '--namespace', NAMESPACE, '--timeout=900s']);
  undisturbed = await weightsOf('alone-0', { namespace: NAMESPACE, name: 'alone' });
  expect(undisturbed).toMatch(/^[0-9a-f]{64}$/);
  await kubectlOk(['delete', 'trainingrun', 'alone', '--namespace', NAMESPACE, '--timeout=300s']);
  await apply(long(at.name));
  await goesOn();
}, 1_800_000);
afterAll(async () => {
  await kubectl(['uncordon', NODE]);
  await kubectlOk(['delete', 'namespace', NAMESPACE, '--ignore-not-found', '--timeout=300s']);
});

test('the operator is killed, thrice', async () => {
  for (let time = 0; time < 3; time += 1) {
    await kubectlOk(['delete', 'pods', '--namespace', 'stemma-system', '--selector', 'app.kubernetes.io/name=stemma-operator', '--force', '--grace-period=0']);
    await kubectlOk(['rollout', 'status', ...OPERATOR, '--timeout=300s']);
    await goesOn();
  }
});

test('the API server and etcd are killed', async () => {
  killPart('kube-apiserver');
  await until('the API server', () => kubectlOk(['get', '--raw', '/readyz']), (said) => said === 'ok');
  await goesOn();
  killPart('etcd');
  await until('the API server with its etcd', () => kubectlOk(['get', '--raw', '/readyz']), (said) => said === 'ok');
  await goesOn();
});

test('a field that somebody else takes is reported and left to them', async () => {
  const theirs = (spec: object): Promise<string> => kubectlOk(['apply', '--server-side', '--force-conflicts', '--field-manager=site-reliability', '-f', '-'],
    JSON.stringify({ apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: { name: at.name, namespace: NAMESPACE }, spec }));
  await theirs({ minReadySeconds: 1, template: { spec: { terminationGracePeriodSeconds: 90 } } });
  const told = await whenRun(at, (run) => reason(run, 'Applied') === 'FieldConflict');
  expect(conditionOf(told, 'Applied')?.message).toMatch(/site-reliability.*terminationGracePeriodSeconds/);
  await goesOn();
  const seconds = await kubectlOk(['get', 'statefulset', at.name, '--namespace', NAMESPACE, '-o', 'jsonpath={.spec.template.spec.terminationGracePeriodSeconds}']);
  expect(seconds).toBe('90');
  await theirs({ minReadySeconds: 1 });
  await whenRun(at, (run) => reason(run, 'Applied') === 'AsWanted');
});

test('all of the cluster is killed at once, and brought up again', async () => {
  process.kill(clusterPid() ?? expect.fail('no cluster runs'), 'SIGKILL');
  const { status, stderr } = spawnSync(process.execPath, [join(ROOT, 'deploy', 'cluster.mjs')], { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  await goesOn();
});

test('the node is drained and comes back', async () => {
  await kubectlOk(['drain', NODE, '--ignore-daemonsets', '--delete-emptydir-data', '--timeout=600s']);
  expect(await kubectlOk(['get', 'pods', '--namespace', NAMESPACE, '--field-selector', 'status.phase=Running', '-o', 'name'])).toBe('');
  await kubectlOk(['uncordon', NODE]);
  await goesOn();
});

test('it ends in the weights of the run left alone, and is clean', async () => {
  await kubectlOk(['wait', '--for=condition=Completed', `trainingrun/${at.name}`, '--namespace', NAMESPACE, '--timeout=1200s']);
  expect(await stemma(`${at.name}-0`, at, ['verify', runIdOf(await readRun(at))])).toMatch(/^CLEAN/m);
  expect(await weightsOf(`${at.name}-0`, at)).toBe(undisturbed);
});
