/** One service in a process of its own: log, blobs, its own sidecar and Temporal queue where it has one, metrics and health. */
import { join } from 'node:path';
import type { StemmaError } from '../../core/errors.js';
import { createClosers } from '../runtime/closers.js';
import type { Config } from '../runtime/config.js';
import type { Logger } from '../runtime/logger.js';
import { createRegistry, serveMetrics } from '../runtime/metrics.js';
import { openLogs } from '../runtime/open-logs.js';
import { openServiceBase, startOwnSidecar } from '../runtime/service-base.js';
import { registerSidecarMetrics } from '../runtime/sidecar-metrics.js';
import { NAMESPACE } from '../runtime/temporal-process.js';
import { cancellation, heartbeat } from '../worker/heartbeat.js';
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
    const registry = createRegistry({ processFigures: true });
    const logs = await openLogs(config, logger);
    onClose(() => logs.close());
    const surroundings: Surroundings = {
      base: await openServiceBase({ config, logger, registry, logs, heartbeat, cancellation, service: role }), onClose, namespace: NAMESPACE,
      async startSidecar() {
        const sidecar = await startOwnSidecar(config, join(config.home, 'sidecar.log'));
        onClose(() => sidecar.stop());
        onClose(registerSidecarMetrics(registry, sidecar.address));
        return sidecar.address;
      },
      async host(activities) {
        const workers = await startWorkers({
          address: config.addresses.temporal, namespace: NAMESPACE, activities, onFailure, registry,
          onLog: (level, message, fields) => logger.debug({ ...fields, level }, message),
          onAttemptFailed: (subject, error) => logger.warn({ ...subject, err: error }, 'an attempt failed'),
        });
        onClose(() => workers.stop());
      },
    };
    const said = await START[role](surroundings);
    const metrics = await serveMetrics({ registry, host: config.listenHost, port: config.ports.metrics });
    onClose(() => metrics.close());
    return { close, line: [`${role} ready (pid ${process.pid}): ${said}`, `metrics ${metrics.url}`].join(', ') };
  } catch (error) {
    await close();
    throw error;
  }
}
