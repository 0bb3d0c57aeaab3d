/** One machine: Temporal, the sidecar and all services under one process, the single writer of the embedded log. */
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { serveGateway } from '../gateway/server.js';
import { temporalControl } from '../gateway/temporal-control.js';
import type { Platform, PlatformOptions } from '../cli/platform.js';
import { openDoor } from '../runtime/door-file.js';
import { takeHome } from '../runtime/home-lock.js';
import { grpcMetrics } from '../runtime/grpc-metrics.js';
import { registerLearningMetrics } from '../runtime/learning-metrics.js';
import { createRegistry, serveMetrics } from '../runtime/metrics.js';
import { settleAll } from '../runtime/settle-all.js';
import { startTemporal, type TemporalProcess } from '../runtime/temporal-process.js';
import { cancellation, heartbeat } from '../worker/heartbeat.js';
import { startWorkers } from '../worker/worker.js';
import { composeServices, type Services } from './compose.js';
import { peakMemoryMiB } from './peak-memory.js';
import { keepRunsStarted } from '../worker/keep-runs-started.js';
import { assertSameMachine } from './same-machine.js';
import { watchTrouble } from './trouble.js';
import { createRunViews, followedRuns } from '../worker/run-views.js';

export async function openPlatform(options: PlatformOptions): Promise<Platform> {
  const { config, logger, onStart } = options;
  const lock = takeHome(config.home);
  const closers: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer().catch((error: unknown) => logger.warn({ err: error }, 'closing'));
    lock.release();
  };
  try {
    const registry = createRegistry({ processFigures: true });
    const [services, temporal] = await startChildren(options, { registry, closers });
    if (options.onlyRun !== undefined) await assertSameMachine(services, options.onlyRun);
    const views = createRunViews(services.logs, logger);
    closers.push(() => views.close());
    registerLearningMetrics(registry, () => views.current());
    const metrics = await serveMetrics({ registry, host: config.listenHost, port: config.ports.metrics });
    closers.push(() => metrics.close());
    onStart('workers');
    const trouble = watchTrouble(options);
    closers.push(async () => trouble.close());
    const workers = await startWorkers({
      registry, address: temporal.address, namespace: temporal.namespace, activities: { ...services.activities, worker: followedRuns(services.activities.worker, views) },
      onLog: (level, message, fields) => logger.debug({ ...fields, level }, message),
      ...trouble,
      onFailure: (error) => logger.error({ err: error }, 'a worker ended'),
    });
    closers.push(() => workers.stop());
    const connection = await Connection.connect({ address: temporal.address });
    closers.push(() => connection.close());
    const client = new Client({ connection, namespace: temporal.namespace });
    const controls = temporalControl(client);
    const gateway = await serveGateway({ ...services, ...controls }, { host: config.listenHost, port: config.ports.gateway, interceptors: [grpcMetrics(registry)] });
    closers.push(() => gateway.close());
    const keeper = keepRunsStarted({ client, logs: services.logs, runs: services.activities.worker, logger, onlyRun: options.onlyRun, onUnfinished: (run) => views.follow(run) });
    closers.push(() => keeper.stop());
    await keeper.first;
    closers.push(await openDoor(config.home, { gateway: gateway.address, log: config.log }));
    return {
      logs: services.logs, blobs: services.blobs, ...controls, close,
      addresses: { temporalUi: temporal.uiUrl, metrics: metrics.url, gateway: gateway.address },
      peakMemoryMiB: () => peakMemoryMiB([process.pid, services.sidecar.pid(), temporal.pid()]),
    };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Starting {
  readonly registry: ReturnType<typeof createRegistry>;
  readonly closers: (() => Promise<unknown>)[];
}

/** The sidecar and Temporal start side by side: each takes seconds. */
async function startChildren({ config, logger, onStart }: PlatformOptions, { registry, closers }: Starting): Promise<[Services, TemporalProcess]> {
  onStart('the event log, the compute sidecar and Temporal');
  return settleAll([
    composeServices({ config, logger, registry, heartbeat, cancellation }).then((services) => {
      closers.push(() => services.close());
      return services;
    }),
    startTemporal({
      executable: config.tools.temporal, databaseFile: join(config.home, 'temporal.db'), logFile: join(config.home, 'temporal.log'),
      port: config.ports.temporal || undefined, uiPort: config.ports.temporalUi || undefined,
    }).then((temporal) => {
      closers.push(() => temporal.stop());
      return temporal;
    }),
  ]);
}
