// The cgroups of the cluster's pods: outside of its namespaces, so they stay when its processes end.
import { existsSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { CGROUP } from './layout.mjs';

/** Without a process in them, deepest first; one hierarchy (version 2) or one a controller (version 1). Those with one are of pods that run. @returns {string[]} */
export function cgroups() {
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

/** Of pods that are gone, as after a crash: the kubelet takes three seconds over each that it finds and knows nothing of. */
export function removeCgroups() {
  for (const directory of cgroups()) {
    try {
      rmdirSync(directory);
    } catch { /* Not yet; asked again. */ }
  }
}
