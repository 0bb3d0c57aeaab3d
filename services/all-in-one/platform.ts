/** One machine: Temporal, the sidecar and all services under one process, the single writer of the embedded log. */
import { join } from 'node:path';
import { Client } from '@temporalio/client';
import type { Registry } from 'prom-client';
import { openGateway } from '../gateway/open-gateway.js';
import { temporalControl } from '../gateway/temporal-control.js';
import type { StemmaError } from '../../core/errors.js';
import type { Platform, PlatformOptions } from '../cli/platform.js';
import { createClosers, type Closers } from '../runtime/closers.js';
import { openDoor } from '../runtime/door-file.js';
import { takeHome } from '../runtime/home-lock.js';
import { ensureLocalKey, userName } from '../runtime/access/local-key.js';
import { serveObserved, type Observed } from '../runtime/observed.js';
import { registerRunMetrics } from '../runtime/run-metrics.js';
import { settleAll } from '../runtime/settle-all.js';
import { openTracing } from '../runtime/tracing/open-tracing.js';
import { sidecarEnded } from '../runtime/sidecar-process.js';
import { startTemporal, type TemporalProcess } from '../runtime/temporal-process.js';
import { waitFor, type Waiting } from '../runtime/wait-for.js';
import { connectClient } from '../worker/temporal-connection.js';
import { cancellation, heartbeat } from '../worker/heartbeat.js';
import { sdkMetrics } from '../worker/sdk-runtime.js';
import { traceCalls } from '../worker/temporal-tracing.js';
import { openTls, type Tls } from '../runtime/tls/tls.js';
import { startWorkers } from '../worker/worker.js';
import { composeServices, type Services } from './compose.js';
import { peakMemoryMiB } from './peak-memory.js';
import { keepRunsStarted } from '../worker/keep-runs-started.js';
import { assertSameMachine } from './same-machine.js';
import { watchTrouble } from './trouble.js';
import { createRunViews, followedRuns } from '../worker/run-views.js';

/** It is our own child, and may have been stopped or killed since it first answered; where many share a machine it takes minutes to answer. */
const TEMPORAL_ANSWERS_WITHIN_MS = 600_000;

export async function openPlatform(options: PlatformOptions): Promise<Platform> {
  const { config, logger, onStart } = options;
  const lock = takeHome(config.home);
  const closers = createClosers((error) => logger.warn({ err: error }, 'closing'));
  closers.add(() => lock.release());
  try {
    ensureLocalKey(config);
    const { tls, registry, health, metrics } = await openObserved(options, closers);
    const [services, temporal] = await startChildren(options, { registry, closers });
    if (options.onlyRun !== undefined) await assertSameMachine(services, options.onlyRun);
    const views = createRunViews({ ...services, logger });
    closers.add(() => views.close());
    registerRunMetrics(registry, () => views.current());
    const [failed, waiting] = [failure(options, closers), { onWait: onStart, stop: options.stop, withinMs: TEMPORAL_ANSWERS_WITHIN_MS }];
    void services.sidecar.exited.then((exit) => failed(sidecarEnded(exit)));
    onStart('workers');
    const trouble = watchTrouble(options);
    closers.add(() => trouble.close());
    const workers = await startWorkers({
      registry, address: temporal.address, namespace: temporal.namespace, activities: { ...services.activities, worker: followedRuns(services.activities.worker, views) },
      onLog: (level, message, fields) => logger.debug({ ...fields, level }, message), ...trouble, waiting, onFailure: failed,
    });
    closers.add(() => workers.stop());
    for (const check of [...services.checks, ...workers.checks]) health.add(check);
    const client = await clientOf(temporal, waiting, closers);
    const steering = temporalControl(client, services.keyring);
    const who = { by: userName(), origin: 'local' };
    const gateway = await openGateway({ ...services, config, logger, registry, tls }, steering);
    closers.add(() => gateway.close());
    const keeper = keepRunsStarted({
      client, address: temporal.address, waiting, logs: services.logs, runs: services.activities.worker, logger, onlyRun: options.onlyRun, onUnfinished: (run) => views.follow(run),
    });
    closers.add(() => keeper.stop());
    await keeper.first;
    closers.add(await openDoor(config.home, { gateway: gateway.address, http: gateway.url, tls: tls !== null, log: config.log }));
    health.started();
    return {
      logs: services.logs, blobs: services.blobs, close: closers.close,
      submit: (request) => steering.submit(request, who), control: (request) => steering.control(request, who),
      addresses: { temporalUi: temporal.uiUrl, metrics: metrics.url, gateway: gateway.address, http: gateway.url },
      peakMemoryMiB: () => peakMemoryMiB([process.pid, services.sidecar.pid(), temporal.pid()]),
    };
  } catch (error) {
    await closers.close();
    throw error;
  }
}

/** Spans, certificates and figures come first: whoever looks sees the rest start. */
async function openObserved({ config, logger }: PlatformOptions, closers: Closers): Promise<Observed & { readonly tls: Tls | null }> {
  const tracing = await openTracing(config.tracing, 'all-in-one', logger);
  closers.add(() => tracing.close());
  const tls = config.tls.certFile === '' ? null : openTls(config.tls, { logger });
  closers.add(() => tls?.close());
  const observed = await serveObserved(config, { others: sdkMetrics, tls });
  closers.add(() => observed.metrics.close());
  return { ...observed, tls };
}

async function clientOf({ address, namespace }: TemporalProcess, waiting: Waiting, closers: Closers): Promise<Client> {
  const connection = await waitFor(() => connectClient({ address, tls: null }), waiting);
  closers.add(() => connection.close());
  return new Client({ connection, namespace, interceptors: { workflow: [traceCalls] } });
}

/** What to do when the services cannot go on: nothing where they are being closed. */
function failure({ logger, onFailure }: PlatformOptions, closers: Closers): (error: StemmaError) => void {
  let closing = false;
  closers.add(() => { closing = true; });
  return (error) => {
    if (closing) return;
    logger.error({ err: error }, 'the services cannot go on');
    onFailure?.(error);
  };
}

interface Starting {
  readonly registry: Registry;
  readonly closers: Closers;
}

/** The sidecar and Temporal start side by side: each takes seconds. */
async function startChildren({ config, logger, onStart }: PlatformOptions, { registry, closers }: Starting): Promise<[Services, TemporalProcess]> {
  onStart('the event log, the compute sidecar and Temporal');
  return settleAll([
    composeServices({ config, logger, registry, heartbeat, cancellation }).then((services) => {
      closers.add(() => services.close());
      return services;
    }),
    startTemporal({
      executable: config.tools.temporal, databaseFile: join(config.home, 'temporal.db'), logFile: join(config.home, 'temporal.log'),
      port: config.ports.temporal || undefined, uiPort: config.ports.temporalUi || undefined,
    }).then((temporal) => {
      closers.add(() => temporal.stop());
      return temporal;
    }),
  ]);
}
