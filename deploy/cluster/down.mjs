// Takes the cluster away: ends its process 1, and with it all that lived in its namespaces; then removes what is outside of them, and looks whether anything is left.
import { existsSync, readdirSync, readFileSync, readlinkSync, rmdirSync, rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { cgroups, removeCgroups } from './cgroups.mjs';
import { clusterPid, interfaces } from './host.mjs';
import { STATE, VOLUMES, WIRE } from './layout.mjs';

const GONE_WITHIN_MS = 30_000;

/** @returns {Promise<string[]>} what is left, one line each */
export async function takeDown() {
  const until = performance.now() + GONE_WITHIN_MS;
  const pid = clusterPid();
  const namespace = pid === null ? null : namespaceOf(pid);
  if (pid !== null) process.kill(pid, 'SIGKILL');
  while (performance.now() < until) {
    removeCgroups();
    if (leftAlive(namespace).length === 0) break;
    await delay(100);
  }
  rmSync(STATE, { recursive: true, force: true, maxRetries: 3 });
  try {
    rmdirSync(VOLUMES);
  } catch { /* It was never made, or another cluster's volumes are in it. */ }
  return [...leftAlive(namespace), ...(existsSync(STATE) ? [`folder ${STATE}`] : [])];
}

/** Processes, mounts, interfaces and cgroups of the cluster. @param {string | null} namespace @returns {string[]} one line each */
function leftAlive(namespace) {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n').map((line) => line.split(' ')[1] ?? '').filter((at) => at.startsWith(STATE));
  return [
    ...processesIn(namespace).map((pid) => `process ${pid}`),
    ...mounts.map((at) => `mount ${at}`),
    ...(interfaces().includes(WIRE) ? [`interface ${WIRE}`] : []),
    ...cgroups().map((directory) => `cgroup ${directory}`),
  ];
}

/** @param {string | number} pid @returns {string | null} */
function namespaceOf(pid) {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return null;
  }
}

/** @param {string | null} namespace @returns {string[]} */
function processesIn(namespace) {
  return namespace === null ? [] : readdirSync('/proc').filter((entry) => /^\d+$/.test(entry) && namespaceOf(entry) === namespace);
}
