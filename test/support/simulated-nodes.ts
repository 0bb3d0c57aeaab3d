/**
 * Nodes and the pods on them as kwok plays them, and the real scheduler that puts the pods there: for tests of many pods, none of
 * which runs. Needs `npm run setup -- --only=kube,cluster,kwok`.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe } from 'vitest';
import { superviseChild, type SupervisedChild } from '../../services/runtime/child-process.js';
import { freePorts } from '../../services/runtime/free-port.js';
import { answers, type RealKube } from './real-kube.js';
import { setUpPart } from './set-up-part.js';

const STAGES = join(import.meta.dirname, 'simulated-nodes.yaml');
/** As a kubelet has it. */
const PODS_A_NODE = 110;
const CAPACITY = { cpu: '256', memory: '1Ti', pods: String(PODS_A_NODE), 'nvidia.com/gpu': '8' };
const STORAGE_CLASS = 'played';

/** What a controller manager runs beside them: volumes are kwok's here. */
export const CONTROLLERS = ['*', '-persistentvolume-binder-controller'];

function programs(): { readonly scheduler: string; readonly kwok: string } | null {
  const [scheduler, kwok] = [join(setUpPart('cluster'), 'kube-scheduler'), setUpPart('kwok')];
  return existsSync(scheduler) && existsSync(kwok) ? { scheduler, kwok } : null;
}

export function describeWithNodes(name: string, suite: () => void): void {
  if (programs() !== null) describe(name, suite);
  else describe.skip(`${name} (no simulated nodes: run \`npm run setup -- --only=kube,cluster,kwok\`)`, suite);
}

export interface SimulatedNodes {
  close(): Promise<void>;
}

/** Room for so many pods. */
export async function openNodes(kube: RealKube, { pods }: { readonly pods: number }): Promise<SimulatedNodes> {
  const found = programs();
  if (found === null) throw new Error('no kwok or no scheduler');
  const [schedulerPort, kwokPort] = (await freePorts(2)) as [number, number];
  await kube.kubectlOk(['apply', '-f', '-'], JSON.stringify({
    apiVersion: 'storage.k8s.io/v1', kind: 'StorageClass', metadata: { name: STORAGE_CLASS, annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } }, provisioner: 'stemma.dev/played',
  }));
  const start = (name: string, command: string, args: readonly string[], probe: () => Promise<boolean>): Promise<SupervisedChild> =>
    superviseChild({ name, boundary: 'setup', command, args, restart: false, ready: { probe }, readyTimeoutMs: 60_000, stopGraceMs: 5_000 });
  const scheduler = await start('kube-scheduler', found.scheduler, [`--kubeconfig=${kube.kubeconfig}`, '--bind-address=127.0.0.1', `--secure-port=${schedulerPort}`, '--leader-elect=false',
    '--kube-api-qps=500', '--kube-api-burst=1000'], () => answers(`https://127.0.0.1:${schedulerPort}/healthz`));
  const kwok = await start('kwok', found.kwok, [`--kubeconfig=${kube.kubeconfig}`, `--config=${STAGES}`, '--manage-all-nodes', '--node-lease-duration-seconds=40', `--server-address=127.0.0.1:${kwokPort}`],
    () => answers(`http://127.0.0.1:${kwokPort}/healthz`));
  const count = Math.ceil(pods / PODS_A_NODE) + 1;
  for (let at = 0; at < count; at += 1) {
    await kube.api.call({ method: 'POST', path: '/api/v1/nodes', body: { apiVersion: 'v1', kind: 'Node', metadata: { name: `node-${at}`, labels: { 'kubernetes.io/hostname': `node-${at}` } }, status: { capacity: CAPACITY, allocatable: CAPACITY } } });
  }
  await kube.kubectlOk(['wait', '--for=condition=Ready', 'nodes', '--all', '--timeout=60s']);
  return {
    async close() {
      await kwok.stop();
      await scheduler.stop();
    },
  };
}
