/** The operator as its own process, from the command that its image runs. */
import { join, resolve } from 'node:path';
import { superviseChild, type SupervisedChild } from '../../services/runtime/child-process.js';
import { freePorts } from '../../services/runtime/free-port.js';
import type { RealKube } from './real-kube.js';
import { sumOf } from './scrape.js';

const MAIN = resolve(join(import.meta.dirname, '../../dist/k8s/operator/main.js'));

export interface OperatorProcess extends SupervisedChild {
  /** A figure of its own, summed over its labels. */
  figure(name: string): Promise<number>;
  /** As a kubelet does. */
  ask(path: '/healthz' | '/readyz'): Promise<{ readonly status: number; readonly text: string }>;
}

export async function startOperatorProcess(kube: Pick<RealKube, 'kubeconfig'>, namespace: string): Promise<OperatorProcess> {
  const [port] = (await freePorts(1)) as [number];
  const address = `http://127.0.0.1:${port}`;
  const metrics = `${address}/metrics`;
  const child = await superviseChild({
    name: 'operator', boundary: 'setup', command: process.execPath, restart: false,
    args: [MAIN, '--image', 'stemma:1', '--namespace', namespace, '--lease-namespace', namespace, '--host', '127.0.0.1', '--metrics-port', String(port)],
    env: { ...process.env, KUBECONFIG: kube.kubeconfig },
    ready: { probe: () => fetch(metrics).then(({ ok }) => ok, () => false) },
  });
  return {
    pid: () => child.pid(), stop: () => child.stop(), onRestart: (listener) => child.onRestart(listener), exited: child.exited,
    async figure(name) {
      return sumOf(await (await fetch(metrics)).text(), name);
    },
    async ask(path) {
      const answer = await fetch(`${address}${path}`);
      return { status: answer.status, text: await answer.text() };
    },
  };
}
