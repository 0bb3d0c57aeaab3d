/** What a kubelet that asks an operator's process hears: /readyz and /healthz over HTTP, with the API server silent, without rights, and well. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { newHome } from '../../support/homes.js';
import { kubeScene } from '../../support/kube-scene.js';
import { startOperatorProcess, type OperatorProcess } from '../../support/operator-process.js';
import { describeWithKube, type RealKube } from '../../support/real-kube.js';

const PATIENCE = { timeout: 60_000, interval: 50 };

describeWithKube('an operator that is asked whether it is well', () => {
  const scene = kubeScene();
  let started: OperatorProcess[] = [];
  const start = async (kube: Pick<RealKube, 'kubeconfig'> = scene.kube()): Promise<OperatorProcess> => {
    const operator = await startOperatorProcess(kube, scene.namespace());
    started.push(operator);
    return operator;
  };
  afterEach(async () => {
    await Promise.all(started.map((operator) => operator.stop()));
    started = [];
  });

  /** Until it says so; alive all the while. */
  async function says(operator: OperatorProcess, status: number, text: string): Promise<void> {
    await vi.waitFor(async () => expect(await operator.ask('/readyz')).toEqual({ status, text: expect.stringContaining(text) as string }), PATIENCE);
    expect(await operator.ask('/healthz')).toEqual({ status: 200, text: 'ok\n' });
  }

  test('is not ready before the API server has answered, then leads and is', async () => {
    let operator: OperatorProcess | undefined;
    await scene.kube().whileSilent(async () => {
      operator = await start();
      await says(operator, 503, 'the API server has not answered yet');
    });
    await says(operator as OperatorProcess, 200, 'ok');
    expect(await operator?.figure('stemma_operator_leads')).toBe(1);
  });

  test('is ready as a follower too: it takes over without being started', async () => {
    await says(await start(), 200, 'ok');
    const second = await start();
    await says(second, 200, 'ok');
    expect(await second.figure('stemma_operator_leads')).toBe(0);
  });

  test('leads and is not ready while it may not read what it owns; with the rights it is', async () => {
    const kubeconfig = await kubeconfigOf('short-of-rights', ['leases']);
    const operator = await start({ kubeconfig });
    await says(operator, 503, 'it leads and has not read all runs yet');
    await scene.kubectl('create', 'rolebinding', 'all', '--clusterrole=cluster-admin', `--serviceaccount=${scene.namespace()}:short-of-rights`);
    await says(operator, 200, 'ok');
  });

  /** Of an account that may do everything with these resources of its namespace, and nothing else. */
  async function kubeconfigOf(account: string, resources: readonly string[]): Promise<string> {
    await scene.kubectl('create', 'serviceaccount', account);
    await scene.kubectl('create', 'role', account, '--verb=*', `--resource=${resources.join(',')}`);
    await scene.kubectl('create', 'rolebinding', account, `--role=${account}`, `--serviceaccount=${scene.namespace()}:${account}`);
    const token = (await scene.kubectl('create', 'token', account)).trim();
    const file = join(newHome(), 'kubeconfig.json');
    const { server = '' } = scene.kube().config.getCurrentCluster() ?? {};
    writeFileSync(file, JSON.stringify({
      apiVersion: 'v1', kind: 'Config', 'current-context': 't', contexts: [{ name: 't', context: { cluster: 't', user: 't' } }],
      clusters: [{ name: 't', cluster: { server, 'insecure-skip-tls-verify': true } }], users: [{ name: 't', user: { token } }],
    }));
    return file;
  }
});
