// What a cluster with a node needs beside the control plane of kube-step.mjs: the node's own programs, built with Go, and Debian's packages.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { runCommand } from './command.mjs';
import { SetupFailure } from './failure.mjs';
import { build, MODULE, versionIn } from './kube-step.mjs';
import { CACHE, logFile } from './layout.mjs';
import { withLock } from './lock.mjs';
import { hashOf } from './stamp.mjs';

/** @import { Progress } from './progress.mjs' */
/** @import { Tool } from './python-steps.mjs' */

/** Of deploy/kube/go.mod. */
const KUBERNETES = { kubelet: 'k8s.io/kubernetes/cmd/kubelet', 'kube-scheduler': 'k8s.io/kubernetes/cmd/kube-scheduler', 'kube-proxy': 'k8s.io/kubernetes/cmd/kube-proxy' };
/** Of deploy/kube/node/go.mod. */
const OWN = ['coredns', 'pause'];
const OWN_MODULE = join(MODULE, 'node');
/** The image of `pause`, as an OCI archive. */
export const PAUSE_ARCHIVE = 'pause.tar';

/** Command → Debian package. @type {Record<string, string>} */
const COMMANDS = {
  containerd: 'containerd', ctr: 'containerd', runc: 'runc', nft: 'nftables', iptables: 'iptables', ip: 'iproute2', nsenter: 'util-linux', unshare: 'util-linux', setpriv: 'util-linux',
  openssl: 'openssl', umoci: 'umoci',
};
const CNI_FOLDERS = ['/usr/lib/cni', '/opt/cni/bin'];
const CNI_PACKAGE = 'containernetworking-plugins';

/** Where the network plugins are, or null. @returns {string | null} */
export function cniFolder() {
  return CNI_FOLDERS.find((folder) => ['bridge', 'host-local', 'loopback', 'portmap'].every((plugin) => existsSync(join(folder, plugin)))) ?? null;
}

/** @param {Progress} progress @returns {Promise<Tool>} a folder with the node's programs */
export async function prepareCluster(progress) {
  if (process.platform !== 'linux') throw new SetupFailure(`A cluster on this machine needs Linux; this is ${process.platform}.`, 'Use a Linux machine, or a cluster of your own: docs/kubernetes.md.');
  await installPackages(progress);
  const version = versionIn(readFileSync(join(MODULE, 'go.mod'), 'utf8'));
  const sums = [join(MODULE, 'go.sum'), ...['go.sum', 'coredns/main.go', 'pause/main.go'].map((file) => join(OWN_MODULE, file))].map((file) => readFileSync(file, 'utf8'));
  const directory = join(CACHE, `kube-node-${version}-${hashOf(sums).slice(0, 16)}`);
  let source = 'cached';
  await withLock(`${directory}.lock`, { onWait: (holder) => progress.say(`the node's programs are being built by ${holder}, waiting for it`) }, async () => {
    if (existsSync(join(directory, PAUSE_ARCHIVE))) return;
    source = 'built with Go';
    await progress.step(`kubelet, kube-scheduler, kube-proxy, CoreDNS: go build (about 4 minutes after the control plane, once)`, async () => {
      await build(version, directory, KUBERNETES);
      await buildOwn(directory);
    });
    progress.say(`Kubernetes ${version} for a node: ${source} (${directory})`);
  });
  return { executable: directory, version, source: `${source} (${directory})` };
}

/** @param {string} directory */
async function buildOwn(directory) {
  for (const name of OWN) {
    await runCommand('go', ['build', '-trimpath', '-ldflags', '-s -w', '-o', join(directory, name), `./${name}`], {
      cwd: OWN_MODULE, env: { CGO_ENABLED: '0' }, log: logFile(`kube-go-build-${name}`), remedy: 'Is the network up, and Go 1.24 or newer? Then run the same command again.',
    });
  }
  const layout = join(directory, 'pause-layout');
  const options = { log: logFile('pause-image'), remedy: 'Look at what it says; Debian has an umoci that works.' };
  rmSync(layout, { recursive: true, force: true });
  await runCommand('umoci', ['init', '--layout', layout], options);
  await runCommand('umoci', ['new', '--image', `${layout}:1`], options);
  await runCommand('umoci', ['insert', '--image', `${layout}:1`, join(directory, 'pause'), '/pause'], options);
  await runCommand('umoci', ['config', '--image', `${layout}:1`, '--config.entrypoint', '/pause'], options);
  const partial = join(directory, `${PAUSE_ARCHIVE}.partial`);
  await runCommand('tar', ['-C', layout, '-cf', partial, '.'], options);
  rmSync(layout, { recursive: true, force: true });
  // Last: it says that all is there.
  renameSync(partial, join(directory, PAUSE_ARCHIVE));
}

/** @param {Progress} progress */
async function installPackages(progress) {
  const lacking = lackingPackages();
  if (lacking.length === 0) return;
  const what = lacking.join(' ');
  const byHand = `As root: apt-get update && apt-get install --no-install-recommends ${what}. Elsewhere than on Debian: what your system calls them.`;
  if (process.getuid?.() !== 0) throw new SetupFailure(`A cluster on this machine needs ${what}, and only root can install that.`, byHand);
  if (spawnSync('apt-get', ['--version']).status !== 0) throw new SetupFailure(`A cluster on this machine needs ${what}, and there is no apt-get to install it with.`, byHand);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await progress.step(`Debian packages: ${what}`, async () => {
    await runCommand('apt-get', ['update'], { log: logFile('apt-update'), env, remedy: byHand });
    await runCommand('apt-get', ['install', '-y', '--no-install-recommends', ...lacking], { log: logFile('apt-install'), env, remedy: byHand });
  });
  const still = lackingPackages();
  if (still.length > 0) throw new SetupFailure(`${still.join(', ')} were installed, and yet what they bring is not on the PATH.`, byHand);
}

/** @returns {string[]} */
function lackingPackages() {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  const lacking = Object.entries(COMMANDS).filter(([command]) => !folders.some((folder) => existsSync(join(folder, command)))).map(([, name]) => name);
  return [...new Set([...lacking, ...(cniFolder() === null ? [CNI_PACKAGE] : [])])];
}
