// A Kubernetes control plane for tests: the one that is given, else the cached one, else built with Go from deploy/kube/go.mod.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { outputOf, runCommand } from './command.mjs';
import { SetupFailure } from './failure.mjs';
import { CACHE, logFile, ROOT } from './layout.mjs';
import { withLock } from './lock.mjs';
import { hashOf } from './stamp.mjs';

/** @import { Progress } from './progress.mjs' */
/** @import { Tool } from './python-steps.mjs' */

export const MODULE = join(ROOT, 'deploy', 'kube');
/** Executable → package. What a cluster with nodes needs besides is in cluster-step.mjs. */
const PROGRAMS = {
  'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
  'kube-controller-manager': 'k8s.io/kubernetes/cmd/kube-controller-manager',
  kubectl: 'k8s.io/kubernetes/cmd/kubectl',
  etcd: 'go.etcd.io/etcd/server/v3',
};

/** @param {Progress} progress @returns {Promise<Tool>} a folder that holds the PROGRAMS */
export async function prepareKube(progress) {
  const given = process.env['STEMMA_TEST_KUBE'];
  if (given) return givenKube(given);
  const version = versionIn(readFileSync(join(MODULE, 'go.mod'), 'utf8'));
  const directory = join(CACHE, `kube-${version}-${hashOf([readFileSync(join(MODULE, 'go.sum'), 'utf8')]).slice(0, 16)}`);
  let source = 'cached';
  await withLock(`${directory}.lock`, { onWait: (holder) => progress.say(`Kubernetes is being built by ${holder}, waiting for it`) }, async () => {
    if (missing(directory).length === 0) return;
    source = 'built with Go';
    await progress.step(`Kubernetes ${version}: go build (about 8 minutes, once)`, () => build(version, directory, PROGRAMS));
    progress.say(`Kubernetes ${version}: ${source} (${directory})`);
  });
  return { executable: directory, version, source: `${source} (${directory})` };
}

/** @param {string} directory @returns {Tool} */
function givenKube(directory) {
  const lacking = missing(directory);
  if (lacking.length > 0) throw new SetupFailure(`STEMMA_TEST_KUBE=${directory} lacks ${lacking.join(', ')}.`, 'Set it to a folder with these executables, or unset it.');
  return { executable: directory, version: 'given', source: 'STEMMA_TEST_KUBE' };
}

/** @param {string} directory @returns {string[]} */
function missing(directory) {
  return Object.keys(PROGRAMS).filter((name) => !existsSync(join(directory, name)));
}

/** @param {string} goMod @returns {string} like `1.34.4` */
export function versionIn(goMod) {
  const version = /^\s*(?:require )?k8s\.io\/kubernetes v(\d+\.\d+\.\d+)/m.exec(goMod)?.[1];
  if (version === undefined) throw new SetupFailure('deploy/kube/go.mod does not name k8s.io/kubernetes.', 'Restore it: git checkout deploy/kube');
  return version;
}

/** From the same go.mod, whole or not at all. @param {string} version @param {string} directory @param {Readonly<Record<string, string>>} programs executable → package */
export async function build(version, directory, programs) {
  if (outputOf('go', ['version']) === null) {
    throw new SetupFailure('The Kubernetes control plane is built with Go, and there is no go on the PATH.', 'Install Go 1.24 or newer, or set STEMMA_TEST_KUBE to a folder with kube-apiserver, kube-controller-manager, kubectl and etcd.');
  }
  const partial = `${directory}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  const [major, minor] = version.split('.');
  // Without these kubectl and the server call themselves v0.0.0-master, and clients that ask for the version are misled.
  const stamps = Object.entries({ gitVersion: `v${version}`, gitMajor: major, gitMinor: minor })
    .flatMap(([name, value]) => ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].map((at) => `-X ${at}.${name}=${value}`));
  for (const [name, path] of Object.entries(programs)) {
    await runCommand('go', ['build', '-trimpath', '-ldflags', ['-s -w', ...stamps].join(' '), '-o', join(partial, name), path], {
      cwd: MODULE, env: { CGO_ENABLED: '0' }, log: logFile(`kube-go-build-${name}`),
      remedy: 'Is the network up, Go 1.24 or newer, and are 4 GB of disk free? Then run the same command again.',
    });
  }
  rmSync(directory, { recursive: true, force: true });
  renameSync(partial, directory);
}
