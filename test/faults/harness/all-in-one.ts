/** The platform of one machine as a system under test: one process of services over the embedded log, its sidecar and Temporal below it. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openEmbeddedLogs } from '../../../services/adapters/log/embedded.js';
import { pidOf, startQuickstart, type Quickstart, type Victim } from '../../support/quickstart.js';
import type { Susceptible } from './plan.js';
import { killTree } from './processes.js';
import { Proxy } from './proxy.js';
import type { System } from './system.js';
import { newTrial, type Trial, type TrialSettings } from './trial.js';

const DISK = ['disk full', 'fsync error'] as const;
const PROCESS = ['kill -9', 'hang', 'restart loop'] as const;
const NETWORK = ['slow network', 'dropping network'] as const;
const CLOCK = ['clock ahead', 'clock behind'] as const;

const SUSCEPTIBLE: Susceptible = {
  services: [...PROCESS, ...DISK, ...CLOCK, 'power cut'],
  sidecar: [...PROCESS, ...DISK, ...NETWORK],
  temporal: [...PROCESS, ...NETWORK],
};

export interface AllInOneOptions {
  readonly recipe: string;
  readonly seed: number;
  readonly settings: Omit<TrialSettings, 'proxies'>;
}

export interface AllInOne extends System {
  readonly trial: Trial;
}

export async function openAllInOne(options: AllInOneOptions): Promise<AllInOne> {
  const targets = new Map<string, string>();
  const proxies = new Map<string, Proxy>();
  for (const role of ['sidecar', 'temporal']) proxies.set(role, await Proxy.listen(() => readFileSync(targets.get(role) ?? '', 'utf8')));
  const trial = newTrial((folder) => ({
    ...options.settings,
    proxies: Object.fromEntries([...proxies].map(([role, { address }]) => {
      targets.set(role, join(folder, `${role}.address`));
      return [role, { address, targetFile: join(folder, `${role}.address`) }];
    })),
  }));
  let quickstart: Quickstart | undefined;
  let words = '';
  const sidecarLog = join(trial.home, 'sidecar.log');
  const killAll = async (): Promise<void> => {
    if (quickstart === undefined) return;
    await killTree(quickstart.pid());
    await quickstart.ended;
  };
  return {
    trial,
    run: `${options.recipe}-s${options.seed}-1`,
    susceptible: SUSCEPTIBLE,
    start() {
      quickstart = startQuickstart(trial.home, ['--recipe', options.recipe, '--seed', String(options.seed), '--json'], trial.environment);
      return Promise.resolve();
    },
    pid: (role) => (quickstart === undefined ? undefined : pidOf(quickstart, role as Victim)),
    comesBack: (role) => role !== 'services',
    sidecarStarts: () => (existsSync(sidecarLog) ? readFileSync(sidecarLog, 'utf8').split('"ready"').length - 1 : 0),
    killAll,
    proxy: (role) => proxies.get(role),
    async ended() {
      const result = await quickstart!.ended;
      words = result.stderr.slice(-3000);
      return result.code === 0;
    },
    lastWords: () => words,
    logs: () => openEmbeddedLogs(join(trial.home, 'log')),
    async close() {
      await killAll();
      for (const proxy of proxies.values()) await proxy.close();
      trial.remove();
    },
  };
}
