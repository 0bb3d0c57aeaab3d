/** The platform of one machine as a system under test: one process of services over the embedded log, its sidecar and Temporal below it. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openEmbeddedLogs } from '../../../services/adapters/log/embedded.js';
import { pidOf, startRun, type Quickstart, type Victim } from '../../support/quickstart.js';
import type { Susceptible } from './plan.js';
import { killTree } from './processes.js';
import type { OpenSystem } from './system.js';
import { listenBefore } from './trial-proxies.js';
import { newTrial } from './trial.js';

const DISK = ['disk full', 'fsync error'] as const;
const PROCESS = ['kill -9', 'hang', 'restart loop'] as const;
const NETWORK = ['slow network', 'dropping network'] as const;
const CLOCK = ['clock ahead', 'clock behind'] as const;

export const ALL_IN_ONE_FAULTS: Susceptible = {
  services: { kinds: [...PROCESS, ...DISK, ...CLOCK, 'power cut'] },
  sidecar: { kinds: [...PROCESS, ...DISK, ...NETWORK] },
  temporal: { kinds: [...PROCESS, ...NETWORK, 'duplicate delivery'] },
  log: { kinds: ['duplicate delivery', 'reordered delivery'] },
};

const KEPT_ENDS = 3;
const KEPT_CHARACTERS = 2_000;

function lastLines(text: string): string {
  return text.trim().slice(-KEPT_CHARACTERS);
}

export const openAllInOne: OpenSystem = async ({ recipe, run, settings }) => {
  const proxies = await listenBefore(['sidecar', 'temporal']);
  const trial = newTrial((folder) => ({ ...settings, proxies: proxies.settings(folder) }));
  let quickstart: Quickstart | undefined;
  /** How each process of services ended, and what it said last. */
  const ends: string[] = [];
  const sidecarLog = join(trial.home, 'sidecar.log');
  const killAll = async (): Promise<void> => {
    if (quickstart === undefined) return;
    await killTree(quickstart.pid());
    await quickstart.ended;
  };
  return {
    trial, run, susceptible: ALL_IN_ONE_FAULTS,
    disks: ['log', 'blobs'],
    start() {
      const started = quickstart = startRun(trial.home, recipe, trial.environment);
      void started.ended.then(({ code, signal, stderr }) => ends.push(`process ${started.pid()} of services ended with ${signal ?? `exit code ${code}`}: ${lastLines(stderr)}`));
      return Promise.resolve();
    },
    pid: (role) => (quickstart === undefined ? undefined : pidOf(quickstart, role as Victim)),
    comesBack: (role) => role !== 'services',
    sidecarStarts: () => (existsSync(sidecarLog) ? readFileSync(sidecarLog, 'utf8').split('"ready"').length - 1 : 0),
    killAll,
    proxy: (role) => proxies.get(role),
    links: () => [],
    ended: async () => (await quickstart!.ended).code === 0,
    lastWords: () => [...ends.slice(-KEPT_ENDS), `now: ${lastLines(quickstart?.stderr() ?? '')}`].join('\n'),
    logs: () => openEmbeddedLogs(join(trial.home, 'log')),
    async close() {
      await killAll();
      await proxies.close();
      trial.remove();
    },
  };
};
