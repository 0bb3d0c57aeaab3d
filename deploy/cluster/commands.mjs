// What `npm run cluster` does: up, status, down. What it prints on stdout is for people; set-up speaks on stderr.
import { homedir } from 'node:os';
import { join } from 'node:path';
import { cniFolder, PAUSE_ARCHIVE } from '../setup/cluster-step.mjs';
import { SetupFailure } from '../setup/failure.mjs';
import { TOOLCHAIN } from '../setup/layout.mjs';
import { setUp } from '../setup/run.mjs';
import { readJson } from '../setup/stamp.mjs';
import { COMPONENTS } from './components.mjs';
import { takeDown } from './down.mjs';
import { clusterPid, inside, startCluster } from './host.mjs';
import { loadImages } from './images.mjs';
import { KUBECONFIG, SERVER, STATE } from './layout.mjs';
import { installPlatform } from './platform.mjs';
import { kubectl, whenReady } from './ready.mjs';

/** @param {string} line */
const say = (line) => void process.stdout.write(`${line}\n`);
/** @param {string} path */
const short = (path) => (path.startsWith(`${homedir()}/`) ? `~${path.slice(homedir().length)}` : path);
/** @param {number} since */
const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(0)} s`;

/** @param {{ bare: boolean }} options @returns {Promise<number>} */
export async function bringUp({ bare }) {
  if (process.getuid?.() !== 0) throw new SetupFailure('A cluster on this machine makes namespaces, interfaces and mounts of its own: only root can.', 'Run it as root, or use a cluster that you have: docs/kubernetes.md.');
  const { toolchain } = await setUp(['packages', 'generate', 'compile', 'kube', 'cluster']);
  const { kube = '', cluster: node = '' } = toolchain;
  const startedAt = performance.now();
  const found = clusterPid() !== null;
  const sinceMs = found ? 0 : Date.now();
  if (!found) await startCluster({ kube, node, cni: cniFolder() ?? '' });
  await whenReady(kube, sinceMs);
  say(found ? `The cluster runs already (${SERVER}).` : `The cluster is up after ${seconds(startedAt)} (${SERVER}).`);
  loadImages([{ archive: join(node, PAUSE_ARCHIVE), name: 'docker.io/local/pause' }], say);
  if (!bare) await installPlatform(kube, say);
  say(`
  export KUBECONFIG=${short(KUBECONFIG)} PATH=$PATH:${short(kube)}
  kubectl get nodes
${bare ? '' : '  kubectl apply -f k8s/samples/micro.yaml\n  kubectl get trainingruns --watch\n'}
NetworkPolicies are checked and kept by the API server, but nothing enforces them here: the network is a plain bridge.
npm run cluster -- --status says what runs; npm run cluster -- --down takes everything away again.`);
  return 0;
}

/** @returns {number} 0 where all parts run, 3 where there is no cluster, 1 where something is amiss */
export function printStatus() {
  const pid = clusterPid();
  if (pid === null) {
    say('No cluster runs here. npm run cluster brings one up.');
    return 3;
  }
  const running = inside(['ps', '-eo', 'comm=,rss=']).stdout.trim().split('\n').map((line) => line.trim().split(/\s+/));
  const lacking = COMPONENTS.filter(({ name }) => !running.some(([command]) => name.startsWith(command ?? '-')));
  const memory = running.reduce((sum, [, rss]) => sum + Number(rss), 0) / 1024;
  say(`The cluster runs as process ${pid} with ${running.length} processes, ${memory.toFixed(0)} MiB; kept in ${short(STATE)}.`);
  for (const { name } of lacking) say(`  ${name} does not run; it is started again (${short(join(STATE, 'logs', `${name}.log`))})`);
  const { kube } = readJson(TOOLCHAIN);
  const said = kubectl(kube ?? '', ['get', 'nodes,trainingruns,pods', '--all-namespaces']);
  say(`${said.stdout}${said.stderr}`.trimEnd());
  return lacking.length === 0 && said.status === 0 ? 0 : 1;
}

/** @returns {Promise<number>} */
export async function bringDown() {
  const found = clusterPid() !== null;
  const left = await takeDown();
  if (left.length > 0) throw new SetupFailure(`The cluster is down, but this is left:\n${left.map((line) => `  ${line}`).join('\n')}`, 'Run the same command again; what holds it is named above.');
  say(found ? 'The cluster is gone: no process, mount, interface, cgroup or file of it is left.' : 'No cluster ran here, and nothing of one is left.');
  return 0;
}
