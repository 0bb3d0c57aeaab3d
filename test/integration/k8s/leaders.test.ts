/** Two operators and one Lease: who acts, and what happens when it is gone. */
import { expect, test } from 'vitest';
import type { KubeApi } from '../../../k8s/operator/api.js';
import { runForLeader, type LeaseSpec } from '../../../k8s/operator/lease.js';
import { pathOf } from '../../../k8s/operator/resources.js';
import { kubeScene, reasonOf as reason, until } from '../../support/kube-scene.js';
import { startOperatorProcess } from '../../support/operator-process.js';
import { describeWithKube } from '../../support/real-kube.js';
import { whenRun } from '../../support/test-operator.js';

describeWithKube('two operators', () => {
  const { operator, create, patch, when, ...scene } = kubeScene();
  const lease = (identity: string, timing: Partial<LeaseSpec> = {}): LeaseSpec => ({
    api: scene.kube().api, namespace: scene.namespace(), name: 'stemma-operator', identity, durationMs: 3000, heldMs: 1500, retryMs: 100, onTrouble: () => undefined, now: () => performance.now(), ...timing,
  });

  test('have one leader; only it acts, and the other takes over at once when it goes in order', async () => {
    const first = operator({ identity: 'a' });
    await first.elected;
    const second = operator({ identity: 'b' });
    await create({});
    await when((run) => run.status?.phase === 'Running');
    expect(second.calls).toEqual([]);
    await first.close();
    await second.elected;
    await patch({ suspend: true });
    await when((run) => run.status?.phase === 'Suspended');
    expect(scene.gateway().submitted).toHaveLength(1);
  });

  test('hand over when the leader is cut off, and it stops writing before', async () => {
    let cut = false;
    const api = { ...scene.kube().api, call: <T>(call: Parameters<KubeApi['call']>[0]): Promise<T> => (cut ? Promise.reject(new Error('cut off')) : scene.kube().api.call<T>(call)) };
    const leader = runForLeader(lease('a', { api }));
    await leader.elected;
    expect(leader.held()).toBe(true);
    const other = runForLeader(lease('b'));
    let stillHeld: boolean | undefined;
    void other.elected.then(() => { stillHeld = leader.held(); });
    cut = true;
    await Promise.all([leader.lost, other.elected]);
    expect({ stillHeld, other: other.held() }).toEqual({ stillHeld: false, other: true });
    await Promise.all([leader.close(), other.close()]);
  });

  test('as processes: the one that leads is killed -9, and the other goes on', async () => {
    const lead = await startOperatorProcess(scene.kube(), scene.namespace());
    await until('the first leads', async () => (await lead.figure('stemma_operator_leads')) === 1);
    const spare = await startOperatorProcess(scene.kube(), scene.namespace());
    try {
      await create({});
      await when((run) => reason(run, 'Applied') === 'AsWanted');
      expect(await spare.figure('stemma_operator_api_calls_total')).toBe(0);
      process.kill(lead.pid(), 'SIGKILL');
      await create({}, 'second');
      await whenRun(scene.kube(), { namespace: scene.namespace(), name: 'second' }, (run) => reason(run, 'Applied') === 'AsWanted');
      expect(await spare.figure('stemma_operator_leads')).toBe(1);
      process.kill(spare.pid(), 'SIGTERM');
      expect(await spare.exited).toMatchObject({ code: 0 });
      const { spec } = await scene.kube().api.call<{ spec: { holderIdentity: string } }>({ method: 'GET', path: pathOf('Lease', scene.namespace(), 'stemma-operator') });
      expect(spec.holderIdentity).toBe('');
    } finally {
      await Promise.all([lead.stop(), spare.stop()]);
    }
  });
});
