/** Runs that name a queue, on an API server without Kueue and with the kinds of Kueue as its Go module has them; its controller does not run. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { QUEUE_LABEL } from '../../../k8s/operator/kueue.js';
import { pathOf, type Kind, type KubeObject } from '../../../k8s/operator/resources.js';
import { conditionOf } from '../../../k8s/operator/training-run.js';
import { kubeScene, NAME, reasonOf as reason } from '../../support/kube-scene.js';
import { describeWithKube } from '../../support/real-kube.js';
import { setUpPart } from '../../support/set-up-part.js';
import { ON_A_CLUSTER } from '../../support/training-runs.js';

/** A folder with one file a kind. */
function kinds(): string {
  const found = setUpPart('kueue');
  return existsSync(found) ? found : '';
}
const withKinds = test.skipIf(kinds() === '' && process.env['CI'] !== 'true');

interface Labelled extends KubeObject {
  readonly spec: { readonly template: { readonly metadata: { readonly labels: { readonly [name: string]: string } } } };
}

describeWithKube('a run that names a queue', () => {
  const scene = kubeScene();
  const { operator, create, when } = scene;
  /** Of the object and of its pods. */
  const queuesOf = async (kind: Kind, name: string): Promise<(string | undefined)[]> => {
    const { metadata, spec } = await scene.kube().api.call<Labelled>({ method: 'GET', path: pathOf(kind, scene.namespace(), name) });
    return [metadata.labels?.[QUEUE_LABEL], spec.template.metadata.labels[QUEUE_LABEL]];
  };
  const installKueue = async (): Promise<void> => {
    await scene.kube().kubectlOk(['apply', '--server-side', '-f', join(kinds(), 'kueue.x-k8s.io_localqueues.yaml')]);
    await scene.kube().kubectlOk(['wait', '--for=condition=Established', '--timeout=30s', 'crd/localqueues.kueue.x-k8s.io']);
  };

  test('is in none where there is no Kueue, says so, and goes on', async () => {
    operator();
    await create({ queueName: 'mine' });
    const running = await when((run) => run.status?.phase === 'Running');
    expect(conditionOf(running, 'Queued')).toMatchObject({ status: 'False', reason: 'KueueMissing' });
    expect(await queuesOf('StatefulSet', NAME)).toEqual([undefined, undefined]);
  });

  withKinds('keeps what its pods began with when Kueue comes later: that labels nothing which has pods', async () => {
    const before = operator();
    await create({ queueName: 'mine' });
    await when((run) => reason(run, 'Queued') === 'KueueMissing' && run.status?.phase === 'Running');
    await before.close();
    await installKueue();
    operator();
    await when((run) => reason(run, 'Queued') === 'KueueCameLater');
    expect(await queuesOf('StatefulSet', NAME)).toEqual([undefined, undefined]);
  });

  withKinds('is labelled where there is Kueue, each workload and its pods, and says whether its queue is there', async () => {
    await installKueue();
    const before = operator();
    await create({ ...ON_A_CLUSTER, queueName: 'mine' });
    await when((run) => reason(run, 'Queued') === 'QueueMissing');
    for (const role of ['gateway', 'worker', 'learner', 'distiller', 'rollout', 'teacher-scoring']) expect(await queuesOf('Deployment', `${NAME}-${role}`), role).toEqual(['mine', 'mine']);
    await before.close();
    await scene.kube().api.call({
      method: 'POST', path: `/apis/kueue.x-k8s.io/v1beta2/namespaces/${scene.namespace()}/localqueues`,
      body: { apiVersion: 'kueue.x-k8s.io/v1beta2', kind: 'LocalQueue', metadata: { name: 'mine' }, spec: { clusterQueue: 'all' } },
    });
    // Another operator, which does not remember for a minute that it is missing.
    operator();
    await when((run) => reason(run, 'Queued') === 'InQueue' && reason(run, 'Applied') === 'AsWanted');
  });
});
