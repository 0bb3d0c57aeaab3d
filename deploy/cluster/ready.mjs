// Asks the cluster through its own front door, kubectl, until it is well, and says what is in the way if it never is.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SetupFailure } from '../setup/failure.mjs';
import { COMPONENTS } from './components.mjs';
import { clusterPid, lastLines } from './host.mjs';
import { KUBECONFIG, LOGS, NODE, OBJECTS } from './layout.mjs';

const READY_WITHIN_MS = 240_000;
const ASK_EVERY_MS = 250;

/** @typedef {{ status: number | null, stdout: string, stderr: string }} Said */

/** @param {string} kube folder of kubectl @param {readonly string[]} args @returns {Said} */
export function kubectl(kube, args) {
  const { status, stdout, stderr, error } = spawnSync(join(kube, 'kubectl'), ['--kubeconfig', KUBECONFIG, ...args], { encoding: 'utf8', maxBuffer: 1 << 26 });
  return { status, stdout: stdout ?? '', stderr: stderr || (error?.message ?? '') };
}

/** @param {string} kube @param {readonly string[]} args @param {string} remedy @returns {string} what it prints */
export function kubectlOk(kube, args, remedy) {
  const { status, stdout, stderr } = kubectl(kube, args);
  if (status !== 0) throw new SetupFailure(`\`kubectl ${args.join(' ')}\`: ${stderr.trim()}`, remedy);
  return stdout;
}

/**
 * Until the API server answers and the node is ready for pods, and has said so since then: after a crash the API server remembers what was.
 * @param {string} kube @param {number} sinceMs of the epoch
 */
export async function whenReady(kube, sinceMs) {
  const until = performance.now() + READY_WITHIN_MS;
  await holds(until, 'kube-apiserver', () => kubectl(kube, ['get', '--raw', '/readyz']).stdout === 'ok');
  kubectlOk(kube, ['apply', '--server-side', '--force-conflicts', '-f', OBJECTS], `Look at ${LOGS}.`);
  await holds(until, 'kubelet', () => {
    const [status, at = ''] = kubectl(kube, ['get', 'node', NODE, '-o', 'jsonpath={.status.conditions[?(@.type=="Ready")].status} {.status.conditions[?(@.type=="Ready")].lastHeartbeatTime}']).stdout.split(' ');
    // To the second, as Kubernetes writes times.
    return status === 'True' && Date.parse(at) + 999 >= sinceMs;
  });
  // A pod can be made only once its namespace has this.
  await holds(until, 'kube-controller-manager', () => kubectl(kube, ['get', 'serviceaccount', 'default', '--namespace', 'default', '-o', 'name']).status === 0);
}

/**
 * Until a pod of these answers that it is ready. What the API server holds of a pod may be from before a crash.
 * @param {string} kube @param {{ namespace: string, selector: string, port: number }} pods
 */
export async function whenAnswers(kube, { namespace, selector, port }) {
  await holds(performance.now() + READY_WITHIN_MS, 'kubelet', () => {
    const names = kubectl(kube, ['get', 'pods', '--namespace', namespace, '--selector', selector, '-o', 'name']).stdout.trim().split('\n');
    return names.some((name) => kubectl(kube, ['get', '--raw', `/api/v1/namespaces/${namespace}/pods/${name.replace(/^pod\//, '')}:${port}/proxy/readyz`]).stdout === 'ok\n');
  });
}

/** @param {number} until @param {string} culprit whose log to show @param {() => boolean} condition */
async function holds(until, culprit, condition) {
  while (!condition()) {
    if (clusterPid() === null) throw new SetupFailure(`The cluster ended. Its supervisor's last lines:\n${lastLines('supervisor')}`, 'npm run cluster -- --down, then npm run cluster again.');
    if (performance.now() > until) {
      throw new SetupFailure(`${culprit} was not ready within ${READY_WITHIN_MS / 1000} s. The supervisor's last lines:\n${lastLines('supervisor')}\n${culprit}'s:\n${lastLines(culprit)}`,
        `All logs are in ${LOGS} (${COMPONENTS.map(({ name }) => name).join(', ')}). If the machine is only slow, run the same command again.`);
    }
    await delay(ASK_EVERY_MS);
  }
}
