/** The micro recipe as an object of a real API server: applied, suspended, its pod killed, amended, completed, verified, deleted. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RECIPE_DIRECTORY } from '../../k8s/operator/pod.js';
import { conditionOf, runIdOf, type TrainingRun } from '../../k8s/operator/training-run.js';
import { freePorts } from '../../services/runtime/free-port.js';
import { newHome } from '../support/homes.js';
import { cli, weightsOfMicroAlone } from '../support/quickstart.js';
import { describeWithKube, openRealKube, type RealKube } from '../support/real-kube.js';
import { standing } from '../support/stage-watch.js';
import { standInKubelet, type StandInKubelet } from '../support/stand-in-kubelet.js';
import { ownedObjects, startTestOperator, whenRun, type TestOperator } from '../support/test-operator.js';

const AT = { namespace: 'default', name: 'micro' };

describeWithKube('the micro recipe as a TrainingRun', () => {
  const directory = newHome();
  let kube: RealKube;
  let kubelet: StandInKubelet;
  let operator: TestOperator;
  let id: string;

  beforeAll(async () => {
    const [gatewayPort] = (await freePorts(1)) as [number];
    kube = await openRealKube({ controllers: ['garbage-collector-controller', 'persistentvolumeclaim-protection-controller'] });
    await kube.installKinds();
    operator = startTestOperator(kube, {
      namespace: AT.namespace, gateway: `127.0.0.1:${gatewayPort}`, timing: { lookEveryMs: 300 },
      recipePath: () => join(directory, RECIPE_DIRECTORY, 'recipe.yaml'),
    });
    kubelet = standInKubelet(kube, { ...AT, directory, gatewayPort });
    await kube.kubectlOk(['apply', '-f', '-'], JSON.stringify({
      apiVersion: 'stemma.dev/v1alpha1', kind: 'TrainingRun', metadata: { name: AT.name }, spec: { recipe: { name: 'micro' }, embedded: true },
    }));
  });
  afterAll(async () => {
    await operator?.close();
    await kubelet?.close();
    await kube?.dispose();
  });

  const when = (holds: (run: TrainingRun) => boolean): Promise<TrainingRun> => whenRun(kube, AT, holds);
  const edit = (spec: object): Promise<string> => kube.kubectlOk(['patch', 'trun', AT.name, '--type', 'merge', '-p', JSON.stringify({ spec })]);
  const reason = (run: TrainingRun, type: string): string | undefined => conditionOf(run, type)?.reason;

  test('is suspended at a step boundary, its pod given back, and goes on', async () => {
    const running = await when((run) => run.status?.phase === 'Running' && (run.status.step ?? 0) >= 1);
    id = runIdOf(running);
    await edit({ suspend: true });
    const suspended = await when((run) => run.status?.phase === 'Suspended');
    expect(reason(suspended, 'Suspended')).toBe('Suspended');
    await kubelet.down();
    const starts = kubelet.starts();
    await edit({ suspend: false });
    await when((run) => run.status?.phase === 'Running' && reason(run, 'Suspended') === 'NotSuspended');
    expect(kubelet.starts()).toBe(starts + 1);
  });

  test('survives its pod', async () => {
    const { status } = await when((run) => reason(run, 'Running') === 'Training' && run.status?.stage !== 'sft');
    await kubelet.kill();
    const after = await when((run) => reason(run, 'Running') === 'Training' && (run.status?.stage !== status?.stage || (run.status?.step ?? 0) > (status?.step ?? 0)));
    expect(after.status?.run).toBe(id);
  });

  test('takes an override from a later step on, and says which', async () => {
    // To the value that it has: the weights below stay comparable.
    await edit({ overrides: [{ stage: 'distill', path: 'optimizer.learningRate', value: 0.001 }] });
    const amended = await when((run) => reason(run, 'Amended') === 'InForce');
    expect(amended.status?.overrides).toEqual([{ stage: 'distill', path: 'optimizer.learningRate', valueJson: '0.001', fromStep: expect.any(Number) as number }]);
  });

  test('completes in the weights of a run left alone, verified, with the operator on record', async () => {
    await kube.kubectlOk(['wait', '--for=condition=Completed', `trun/${AT.name}`, '--timeout=300s']);
    const { run } = (await standing(kubelet.home, id, 'distill'))!;
    expect(run.end).toEqual({ status: 'finished', weightsHash: expect.stringContaining(await weightsOfMicroAlone()) as string });
    expect(run.created?.by).toBe('stemma-operator');
    expect(run.amendments.map(({ by, path }) => [by, path])).toEqual([['stemma-operator', 'optimizer.learningRate']]);
    expect((await cli(kubelet.home, ['verify', id])).stdout).toMatch(/^CLEAN/);
  });

  test('leaves nothing behind', async () => {
    await kube.kubectlOk(['delete', 'trun', AT.name, '--timeout=60s']);
    expect([...(await ownedObjects(kube, AT.namespace)).keys()]).toEqual([]);
  });
});
