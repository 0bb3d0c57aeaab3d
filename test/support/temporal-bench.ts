/** A real dev server, workers over given activities, and a client: what integration tests and the recorder of histories need. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { loadWorkflowBundle } from '../../services/worker/bundle.js';
import { startTemporal, type TemporalProcess } from '../../services/runtime/temporal-process.js';
import { startWorkers, type HostedActivities, type Workers } from '../../services/worker/worker.js';

export interface TemporalBench {
  readonly server: TemporalProcess;
  readonly databaseFile: string;
  readonly client: Client;
  host(activities: HostedActivities): Promise<Workers>;
  close(): Promise<void>;
}

export async function openTemporalBench(executable: string): Promise<TemporalBench> {
  const directory = await mkdtemp(join(tmpdir(), 'stemma-temporal-'));
  const databaseFile = join(directory, 'temporal.db');
  const server = await startTemporal({ executable, databaseFile, logFile: join(directory, 'temporal.log') });
  const bundle = await loadWorkflowBundle();
  const connection = await Connection.connect({ address: server.address });
  const hosted: Workers[] = [];
  return {
    server, databaseFile,
    client: new Client({ connection, namespace: server.namespace }),
    async host(activities) {
      const workers = await startWorkers({ address: server.address, namespace: server.namespace, activities, bundle, onLog: () => undefined });
      hosted.push(workers);
      return workers;
    },
    async close() {
      await Promise.all(hosted.map((workers) => workers.stop()));
      await connection.close();
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
