// Takes the cluster away: ends its process 1, and with it all that lived in its namespaces; then removes what is outside of them, and looks whether anything is left.
import { existsSync, readdirSync, readFileSync, readlinkSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { clusterPid, interfaces } from './host.mjs';
import { CGROUP, STATE, VOLUMES, WIRE } from './layout.mjs';

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

/** Without a process in them, deepest first; one hierarchy (version 2) or one a controller (version 1). Those with one are another cluster's. @returns {string[]} */
function cgroups() {
  const tops = [`/sys/fs/cgroup${CGROUP}`, ...readdirSync('/sys/fs/cgroup').map((name) => join('/sys/fs/cgroup', name, CGROUP))].filter((path) => existsSync(path));
  return tops.flatMap((top) => emptyBelow(top).directories);
}

/** @param {string} directory @returns {{ directories: string[], whole: boolean }} */
function emptyBelow(directory) {
  try {
    const inner = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => emptyBelow(join(directory, entry.name)));
    const whole = inner.every((each) => each.whole) && readFileSync(join(directory, 'cgroup.procs'), 'utf8') === '';
    return { directories: [...inner.flatMap((each) => each.directories), ...(whole ? [directory] : [])], whole };
  } catch {
    return { directories: [], whole: true };
  }
}

function removeCgroups() {
  for (const directory of cgroups()) {
    try {
      rmdirSync(directory);
    } catch { /* Not yet; asked again. */ }
  }
}
