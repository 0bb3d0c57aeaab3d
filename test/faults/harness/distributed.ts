/** Distributed mode as a system under test: `up --distributed` as a child, each service, sidecar, Temporal and the broker a process below it. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { StemmaError } from '../../../core/errors.js';
import { runStream } from '../../../core/log/keys.js';
import { runFold, type RunState } from '../../../core/run/run.js';
import { gatewayClient } from '../../../services/gateway/client.js';
import { readToken } from '../../../services/runtime/access/local-key.js';
import { findDoor, type Door } from '../../../services/runtime/door-file.js';
import { openLogs, type OpenLogs } from '../../../services/runtime/open-logs.js';
import { readFold } from '../../../services/runtime/record-fact.js';
import { startUp, type Quickstart } from '../../support/quickstart.js';
import { LAUNCHER, partsOf } from './parts.js';
import type { Susceptible } from './plan.js';
import { killTree } from './processes.js';
import type { OpenSystem } from './system.js';
import { listenBefore } from './trial-proxies.js';
import { newTrial } from './trial.js';

const PROCESS = ['kill -9', 'hang', 'restart loop'] as const;
const DISK = ['disk full', 'fsync error'] as const;
const NETWORK = ['slow network', 'dropping network'] as const;
const CLOCK = ['clock ahead', 'clock behind'] as const;

/** The learner has work then, and will have more. */
const WHILE_LEARNING = /^(?!.*(distill|tools-rl))/;
const BEFORE_DISTILLING = /^(?!.*distill)/;
const WHILE_DISTILLING = /distill/;

export const DISTRIBUTED_FAULTS: Susceptible = {
  gateway: { kinds: PROCESS },
  worker: { kinds: [...PROCESS, ...CLOCK] },
  'rollout-1': { kinds: [...PROCESS, ...CLOCK, 'network loss'] },
  'rollout-2': { kinds: [...PROCESS, 'network loss'] },
  'rollout-1-sidecar': { kinds: [...PROCESS, ...NETWORK], after: BEFORE_DISTILLING },
  'teacher-scoring': { kinds: [...PROCESS, ...NETWORK], after: BEFORE_DISTILLING },
  'teacher-scoring-sidecar': { kinds: [...PROCESS, ...DISK], after: BEFORE_DISTILLING },
  learner: { kinds: [...PROCESS, ...DISK, ...CLOCK], after: WHILE_LEARNING },
  'learner-sidecar': { kinds: [...PROCESS, ...DISK, ...NETWORK], after: WHILE_LEARNING },
  distiller: { kinds: [...PROCESS, ...DISK, ...CLOCK], after: WHILE_DISTILLING },
  'distiller-sidecar': { kinds: [...PROCESS, ...DISK, ...NETWORK], after: WHILE_DISTILLING },
  temporal: { kinds: [...PROCESS, ...NETWORK, 'duplicate delivery'], after: BEFORE_DISTILLING },
  broker: { kinds: [...PROCESS, ...NETWORK] },
  log: { kinds: ['duplicate delivery', 'reordered delivery'] },
  [LAUNCHER]: { kinds: ['kill -9', 'power cut'] },
};

/** What one rollout worker talks to, over proxies of its own. */
const LINKS = ['temporal', 'broker', 'sidecar'];
const PROXIED = ['temporal', 'broker', 'teacher-scoring', ...['rollout-1', 'rollout-2'].flatMap(linksOf), 'learner-sidecar', 'distiller-sidecar'];
const ROLLOUTS = 2;
const LOOK_EVERY_MS = 250;
const KEPT_WORDS = 3_000;

export const openDistributed: OpenSystem = async ({ recipe, run, seed, settings }) => {
  const proxies = await listenBefore(PROXIED);
  const trial = newTrial((folder) => ({ ...settings, proxies: proxies.settings(folder) }));
  let launcher: Quickstart | undefined;
  let words = '';
  let logs: OpenLogs | undefined;

  const allGone = async (): Promise<void> => {
    while (partsOf(trial.home).size > 0) await delay(LOOK_EVERY_MS);
  };
  const killAll = async (): Promise<void> => {
    if (launcher !== undefined) await killTree(launcher.pid());
    await allGone();
  };
  /** The launcher may be killed before it has heard of the run: it is told again at each start. */
  const submit = async (to: Quickstart): Promise<void> => {
    while (launcher === to && to.process.exitCode === null && to.process.signalCode === null) {
      const door = await findDoor(trial.home);
      const gateway = door && gatewayClient(door.gateway, () => readToken({ tokenFile: join(trial.home, 'gateway.token') }));
      try {
        if (gateway) return await gateway.submit({ run, recipe, seed });
      } catch (error) {
        words += `submitting: ${(error as Error).message}\n`;
      } finally {
        await gateway?.close();
      }
      await delay(LOOK_EVERY_MS);
    }
  };
  const doorOf = async (): Promise<Door> => {
    for (;;) {
      const door = await findDoor(trial.home);
      if (door) return door;
      await delay(LOOK_EVERY_MS);
    }
  };
  const openOwnLogs = async (): Promise<OpenLogs> => openLogs({ home: join(trial.folder, 'observer'), log: (await doorOf()).log });

  return {
    trial, run, susceptible: DISTRIBUTED_FAULTS,
    disks: ['blobs'],
    async start() {
      await allGone();
      launcher = startUp(trial.home, ['--distributed', '--rollouts', String(ROLLOUTS)], trial.environment);
      launcher.process.stderr?.on('data', (chunk: Buffer) => { words = (words + chunk.toString()).slice(-KEPT_WORDS); });
      void submit(launcher);
    },
    pid: (role) => partsOf(trial.home).get(role),
    comesBack: (role) => role !== LAUNCHER,
    sidecarStarts: () => sidecarLogs(trial.home).reduce((sum, file) => sum + readFileSync(file, 'utf8').split('"ready"').length - 1, 0),
    killAll,
    proxy: (role) => proxies.get(role),
    links: (role) => linksOf(role).flatMap((link) => proxies.get(link) ?? []),
    async ended() {
      logs ??= await openOwnLogs();
      for (;;) {
        const end = await endOf(logs, run);
        if (end) return end.status === 'finished';
        if (launcher!.process.exitCode !== null) return false;
        await delay(LOOK_EVERY_MS);
      }
    },
    lastWords: () => words,
    logs: openOwnLogs,
    async close() {
      await logs?.close();
      launcher = launcher && await killAll().then(() => undefined);
      await proxies.close();
      trial.remove();
    },
  };
};

function linksOf(role: string): string[] {
  return LINKS.map((to) => `${role}-${to}`);
}

/** Undefined while the run goes on, or while nobody can say. */
async function endOf(logs: OpenLogs, run: string): Promise<RunState['end']> {
  try {
    const log = await logs.open(run, 'read');
    try {
      return (await readFold(log, runStream(run), runFold)).state.end;
    } finally {
      await log.close();
    }
  } catch (error) {
    if (error instanceof StemmaError && (error.retriable || error.code === 'NOT_FOUND')) return undefined;
    throw error;
  }
}

function sidecarLogs(home: string): string[] {
  const roles = join(home, 'roles');
  if (!existsSync(roles)) return [];
  return readdirSync(roles).map((name) => join(roles, name, 'sidecar.log')).filter((file) => existsSync(file));
}
