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
import { openTracing } from '../runtime/tracing/open-tracing.js';
import { sidecarEnded, type SidecarProcess } from '../runtime/sidecar-process.js';
import { PLAIN_CHANNEL, type Channel } from '../runtime/grpc.js';
import { SYSTEM_AUTHORITIES, type TlsFiles } from '../runtime/security-settings.js';
import { channelTo, channelToSelf } from '../runtime/tls/credentials.js';
import { lacksRole } from '../runtime/tls/peers.js';
import { openTls, type Tls } from '../runtime/tls/tls.js';
import { waitFor } from '../runtime/wait-for.js';
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
  /** What it needs is not there: it waits, and says for what. */
  readonly onWait: (why: string) => void;
  /** Ends the waiting at the start. */
  readonly stop: AbortSignal;
  /** It can no longer do its work: end the process, so that its supervisor starts a new one. */
  readonly onFailure: (error: StemmaError) => void;
}

/** Waits without limit for log and Temporal. What only a person can mend is thrown at once. */
export async function openRole({ role, config, logger, onFailure, ...waiting }: RoleOptions): Promise<OpenRole> {
  assertConfigured(role, config);
  const { add: onClose, close } = createClosers((error) => logger.warn({ err: error }, 'closing'));
  try {
    const tracing = await openTracing(config.tracing, role, logger);
    onClose(() => tracing.close());
    const tls = config.tls.certFile === '' ? null : openTls(config.tls, { logger, lacks: lacksRole(role) });
    const temporalTls = config.temporalTls.on ? openTls(temporalFiles(config), { logger }) : null;
    onClose(() => { tls?.close(); temporalTls?.close(); });
    const { registry, health, metrics, tlsMetrics } = await serveObserved(config, { others: sdkMetrics, tls });
    onClose(() => metrics.close());
    const logs = await waitFor(() => openLogs(config, logger), waiting);
    onClose(() => logs.close());
    health.add(logCheck(logs));
    const surroundings: Surroundings = {
      base: await openServiceBase({ config, logger, registry, logs, heartbeat, cancellation, tls, service: role }), tlsMetrics, temporalTls, onClose, health, waiting, namespace: NAMESPACE,
      async startSidecar() {
        const sidecar = config.addresses.sidecar === '' ? await ownSidecar(config, tls) : elsewhere(config, tls);
        onClose(() => sidecar.stop());
        const watch = registerSidecarMetrics(registry, sidecar.address, sidecar.channel);
        onClose(() => watch.close());
        health.add({ name: 'sidecar', ask: watch.answers });
        let stopping = false;
        onClose(() => { stopping = true; });
        void sidecar.exited?.then((exit) => { if (!stopping) onFailure(sidecarEnded(exit)); });
        return sidecar;
      },
      async host(activities) {
        const workers = await startWorkers({
          address: config.addresses.temporal, tls: temporalTls, namespace: NAMESPACE, activities, waiting, onFailure, registry,
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

type UsedSidecar = Pick<SidecarProcess, 'address' | 'stop'> & Partial<Pick<SidecarProcess, 'exited'>> & { readonly channel: Channel };

/** It shows our certificate, and serves us alone. */
async function ownSidecar(config: Config, tls: Tls | null): Promise<UsedSidecar> {
  const names = tls?.current().identity?.names ?? [];
  const callers = names.map((name) => name.slice(name.indexOf(':') + 1));
  const sidecar = await startOwnSidecar(config, join(config.home, 'sidecar.log'), tls ? { tls: { files: config.tls, callers } } : {});
  return { ...sidecar, channel: tls ? channelToSelf(tls) : PLAIN_CHANNEL };
}

/** Started by somebody else, perhaps on another machine. */
function elsewhere({ addresses: { sidecar: address } }: Config, tls: Tls | null): UsedSidecar {
  return { address, stop: () => Promise.resolve(), channel: tls ? channelTo(tls, address) : PLAIN_CHANNEL };
}

/** Our own certificate, and perhaps another authority. */
function temporalFiles({ tls, temporalTls }: Config): TlsFiles {
  return { ...tls, caFile: [temporalTls.caFile, tls.caFile, SYSTEM_AUTHORITIES].find((file) => file !== '') as string };
}
