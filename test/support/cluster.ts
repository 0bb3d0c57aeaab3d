/** Distributed mode as a user starts it, in a home of its own, and what a test does to its processes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDirectoryBlobs } from '../../services/adapters/blob/directory.js';
import type { Cluster, ClusterPart, Stores } from '../../services/cli/platform.js';
import { readRun, watchRun, type RunSnapshot } from '../../services/cli/run-reader.js';
import { openCluster } from '../../services/cluster/cluster.js';
import type { ChildExit } from '../../services/runtime/child-process.js';
import { readConfig } from '../../services/runtime/config.js';
import { openLogs } from '../../services/runtime/open-logs.js';
import { statOf } from './proc-stat.js';

export interface RunningCluster {
  readonly home: string;
  readonly cluster: Cluster;
  readonly stores: Stores;
  /** Of parts that ended without having been asked to, in order. */
  readonly deaths: readonly string[];
  /** How each of them ended. */
  readonly exits: readonly (readonly [part: string, exit: ChildExit])[];
  part(name: string): ClusterPart;
  /** Ends the process and resolves when a new one is ready. */
  killAndAwaitReturn(name: string): Promise<void>;
  /** Stops it as a debugger would, for as long as `meanwhile` takes; then it wakes and knows of nothing. */
  whileStopped(name: string, meanwhile: () => Promise<void>): Promise<void>;
  /** The first snapshot of the run for which this holds. */
  when(run: string, holds: (snapshot: RunSnapshot) => boolean): Promise<RunSnapshot>;
  close(): Promise<void>;
}

export async function startCluster(rollouts: number, settings: { readonly [name: string]: string } = {}, scorings = 1): Promise<RunningCluster> {
  const home = mkdtempSync(join(tmpdir(), 'stemma-cluster-'));
  const deaths: string[] = [];
  const exits: [string, ChildExit][] = [];
  const cluster = await openCluster({
    config: readConfig(undefined, { STEMMA_HOME: home, ...settings }), rollouts, scorings, onStart: () => undefined,
    onDeath(part, exit) {
      deaths.push(part);
      exits.push([part, exit]);
    },
  });
  const logs = await openLogs(cluster.config);
  const stores: Stores = { logs, blobs: await openDirectoryBlobs(cluster.config.blobs), close: () => logs.close() };
  const part = (name: string): ClusterPart => {
    const found = cluster.parts.find((each) => each.name === name);
    if (!found) throw new Error(`no part ${name}; there are ${cluster.parts.map((each) => each.name).join(', ')}`);
    return found;
  };
  return {
    home, cluster, stores, deaths, exits, part,
    async killAndAwaitReturn(name) {
      const { pid, onRestart } = part(name);
      const returned = new Promise<void>((resolve) => onRestart(resolve));
      process.kill(pid(), 'SIGKILL');
      await returned;
    },
    async whileStopped(name, meanwhile) {
      const pid = part(name).pid();
      process.kill(pid, 'SIGSTOP');
      try {
        await stopped(pid);
        await meanwhile();
      } finally {
        process.kill(pid, 'SIGCONT');
      }
    },
    async when(run, holds) {
      for await (const now of watchRun(stores, run, { signal: new AbortController().signal, intervalMs: 0 })) {
        if (holds(now)) return now;
        if (now.view.run.end) throw new Error(`the run ended before: ${JSON.stringify(now.view.run.end)}`);
      }
      throw new Error('unreachable');
    },
    async close() {
      await logs.close();
      await cluster.close();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

async function stopped(pid: number): Promise<void> {
  for (;;) {
    const stat = statOf(pid);
    if (stat === undefined) throw new Error(`process ${pid} is gone`);
    if (stat[0] === 'T') return;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/**
 * What a run says, whoever said it and however often it was interrupted: who was asked for, what became of each, which batches
 * and which weights came of it. Claims, attempts, times, and blobs that only carry weights between processes are left out.
 */
export async function meaningOf(stores: Stores, run: string): Promise<unknown> {
  const { view } = await readRun(stores, run, 'episodes');
  return {
    end: view.run.end,
    stages: [...view.stages].map(([stage, { requested, dropped, datasets, closed, committed }]) => ({
      stage, dropped, datasets,
      result: view.run.stages.get(stage)?.result, accuracy: view.run.stages.get(stage)?.evaluation?.accuracy,
      requested: requested.map(({ step, round, purpose, weightsHash, episodes }) => ({ step, round, purpose, weightsHash, episodes })),
      closed: closed.map(({ step, batchId, members, settingsHash }) => ({ step, batchId, members, settingsHash })),
      committed: committed.map(({ step, stateHash, weightsHash }) => ({ step, stateHash, weightsHash })),
    })),
    episodes: [...view.episodes].map(([episode, { ended }]) => ({ episode, ended: ended.map((end) => ({ ...end, attempt: 0 })) }))
      .sort((a, b) => a.episode.localeCompare(b.episode)),
  };
}
