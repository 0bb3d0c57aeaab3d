// The cluster as this machine sees it: one process that all others of the cluster end with, found by what it is and not by a file that may lie.
import { spawn, spawnSync } from 'node:child_process';
import { chownSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SetupFailure } from '../setup/failure.mjs';
import { removeCgroups } from './cgroups.mjs';
import { configurationFiles } from './configuration.mjs';
import { writeCredentials } from './credentials.mjs';
import { ADDRESSES, IMAGE_USER, INSIDE, LOGS, STATE, SUPERVISOR, WIRE } from './layout.mjs';

const STARTS_WITHIN_MS = 20_000;
const PATH = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;

/** @typedef {{ kube: string, node: string, cni: string }} Programs folders */

/** The pid, on this machine, of process 1 of the cluster's namespaces, or null. @returns {number | null} */
export function clusterPid() {
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const args = readFileSync(`/proc/${entry}/cmdline`, 'utf8').split('\0');
      if (args[0] !== 'bash' || !args[1]?.endsWith('/inside.sh') || args[2] !== STATE) continue;
      if (/^NSpid:.*\t1$/m.test(readFileSync(`/proc/${entry}/status`, 'utf8'))) return Number(entry);
    } catch { /* It ended while we looked. */ }
  }
  return null;
}

/** Starts everything and comes back as soon as it runs: whether it answers is asked elsewhere. @param {Programs} programs */
export async function startCluster({ kube, node, cni }) {
  for (const folder of [LOGS, join(STATE, 'volumes')]) mkdirSync(folder, { recursive: true });
  chownSync(join(STATE, 'volumes'), IMAGE_USER, IMAGE_USER);
  writeCredentials();
  await forgetCrashed();
  for (const [name, text] of Object.entries(configurationFiles())) {
    mkdirSync(dirname(join(STATE, name)), { recursive: true });
    writeFileSync(join(STATE, name), text);
  }
  const log = openSync(join(LOGS, 'supervisor.log'), 'a');
  const child = spawn('unshare', ['--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc', 'bash', INSIDE, STATE, kube, node, cni, process.execPath, SUPERVISOR,
    `${ADDRESSES.node}/30`, String(IMAGE_USER)], { detached: true, stdio: ['pipe', log, log], env: { ...process.env, PATH } });
  child.on('error', () => undefined);
  child.stdin?.on('error', () => undefined);
  const pid = await appears(child);
  // The pod network is reached through the node, also from here.
  ip('link', 'add', WIRE, 'type', 'veth', 'peer', 'name', 'node', 'netns', String(pid));
  ip('address', 'add', `${ADDRESSES.host}/30`, 'dev', WIRE);
  ip('link', 'set', WIRE, 'up');
  for (const network of [ADDRESSES.pods, ADDRESSES.services]) ip('route', 'add', network, 'via', ADDRESSES.node, 'dev', WIRE);
  child.stdin?.end('go\n');
  child.unref();
}

/** What a cluster whose process 1 was killed leaves outside of its namespaces: for moments its wire, and the cgroups of its pods. */
async function forgetCrashed() {
  const until = performance.now() + STARTS_WITHIN_MS;
  while (interfaces().includes(WIRE) && performance.now() < until) await delay(50);
  removeCgroups();
}

/** @param {import('node:child_process').ChildProcess} child @returns {Promise<number>} */
async function appears(child) {
  const until = performance.now() + STARTS_WITHIN_MS;
  while (performance.now() < until && child.exitCode === null) {
    const pid = clusterPid();
    if (pid !== null) return pid;
    await delay(50);
  }
  throw new SetupFailure(`The cluster's namespaces could not be made:\n${lastLines('supervisor')}`,
    'It needs root with CAP_SYS_ADMIN and CAP_NET_ADMIN (in a container: --privileged), and the commands unshare and ip.');
}

/** @param {...string} args */
function ip(...args) {
  const { status, stderr, error } = spawnSync('ip', args, { encoding: 'utf8', env: { ...process.env, PATH } });
  if (status === 0) return;
  throw new SetupFailure(`\`ip ${args.join(' ')}\`: ${stderr?.trim() || error?.message}`,
    `Is ${ADDRESSES.wire}, ${ADDRESSES.pods} or ${ADDRESSES.services} in use here (ip address; ip route)? Then change ADDRESSES in deploy/cluster/layout.mjs. \`npm run cluster -- --down\` takes the rest away.`);
}

/**
 * A command inside the cluster's namespaces: ctr, kill, nft.
 * @param {readonly string[]} command @returns {{ status: number | null, stdout: string, stderr: string }}
 */
export function inside(command) {
  const pid = clusterPid();
  if (pid === null) return { status: null, stdout: '', stderr: 'the cluster is not running' };
  const { status, stdout, stderr } = spawnSync('nsenter', ['--target', String(pid), '--mount', '--net', '--pid', ...command], { encoding: 'utf8', maxBuffer: 1 << 28, env: { ...process.env, PATH } });
  return { status, stdout, stderr };
}

/** Of a part's log, for a message. @param {string} name @returns {string} */
export function lastLines(name, count = 8) {
  try {
    return readFileSync(join(LOGS, `${name}.log`), 'utf8').trimEnd().split('\n').slice(-count).map((line) => `  ${line.slice(0, 300)}`).join('\n');
  } catch {
    return '  (no log yet)';
  }
}

/** @returns {string[]} names of all interfaces of this machine */
export function interfaces() {
  const { stdout } = spawnSync('ip', ['-o', 'link'], { encoding: 'utf8', env: { ...process.env, PATH } });
  return (stdout ?? '').split('\n').flatMap((line) => /^\d+: ([^:@]+)/.exec(line)?.[1] ?? []);
}

