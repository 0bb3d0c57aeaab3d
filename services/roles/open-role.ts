/** One service in a process of its own: log, blobs, its own sidecar and Temporal queue where it has one, metrics and health. */
import { join } from 'node:path';
import type { StemmaError } from '../../core/errors.js';
import { createClosers } from '../runtime/closers.js';
import type { Config } from '../runtime/config.js';
import type { Logger } from '../runtime/logger.js';
import { logCheck } from '../runtime/health.js';
import { serveObserved } from '../runtime/observed.js';
import { openLogs } from '../runtime/open-logs.js';
import { openServiceBase, startOwnSidecar } from '../runtime/service-base.js';
import { registerSidecarMetrics } from '../runtime/sidecar-metrics.js';
import { sidecarEnded } from '../runtime/sidecar-process.js';
import { NAMESPACE } from '../runtime/temporal-process.js';
import { cancellation, heartbeat } from '../worker/heartbeat.js';
import { sdkMetrics } from '../worker/sdk-runtime.js';
import { startWorkers } from '../worker/worker.js';
import { assertConfigured, type Role } from './role.js';
import { START, type Surroundings } from './start.js';

export interface OpenRole {
  /** What it is and where it listens: one line for people. */
  readonly line: string;
  /** Hands back what is in flight within seconds and stops its children. Losing nothing does not depend on it. */
  close(): Promise<void>;
}

export interface RoleOptions {
  readonly role: Role;
  readonly config: Config;
  readonly logger: Logger;
  /** It can no longer do its work: end the process, so that its supervisor starts a new one. */
  readonly onFailure: (error: StemmaError) => void;
}

export async function openRole({ role, config, logger, onFailure }: RoleOptions): Promise<OpenRole> {
  assertConfigured(role, config);
  const { add: onClose, close } = createClosers((error) => logger.warn({ err: error }, 'closing'));
  try {
    const { registry, health, metrics } = await serveObserved(config, sdkMetrics);
    onClose(() => metrics.close());
    const logs = await openLogs(config, logger);
    onClose(() => logs.close());
    health.add(logCheck(logs));
    const surroundings: Surroundings = {
      base: await openServiceBase({ config, logger, registry, logs, heartbeat, cancellation, service: role }), onClose, health, namespace: NAMESPACE,
      async startSidecar() {
        const sidecar = await startOwnSidecar(config, join(config.home, 'sidecar.log'));
        onClose(() => sidecar.stop());
        const watch = registerSidecarMetrics(registry, sidecar.address);
        onClose(() => watch.close());
        health.add({ name: 'sidecar', ask: watch.answers });
        let stopping = false;
        onClose(() => { stopping = true; });
        void sidecar.exited.then((exit) => { if (!stopping) onFailure(sidecarEnded(exit)); });
        return sidecar.address;
      },
      async host(activities) {
        const workers = await startWorkers({
          address: config.addresses.temporal, namespace: NAMESPACE, activities, onFailure, registry,
          onLog: (level, message, fields) => logger.debug({ ...fields, level }, message),
          onAttemptFailed: (subject, error) => logger.warn({ ...subject, err: error }, 'an attempt failed'),
        });
        onClose(() => workers.stop());
        for (const check of workers.checks) health.add(check);
      },
    };
    const said = await START[role](surroundings);
    health.started();
    return { close, line: [`${role} ready (pid ${process.pid}): ${said}`, `metrics ${metrics.url}`].join(', ') };
  } catch (error) {
    await close();
    throw error;
  }
}
