/** What every service of a process stands on: log, blobs, the runs' contexts, and how it is known and watched. */
import { hostname } from 'node:os';
import type { Registry } from 'prom-client';
import type { BlobStore, RunLogs } from '../../core/ports.js';
import { openKeyring, type Keyring } from './access/keyring.js';
import { measuredBlobs } from './blob-metrics.js';
import type { Config } from './config.js';
import { measuredLogs } from './log-metrics.js';
import type { Logger } from './logger.js';
import { openBlobs } from './open-blobs.js';
import { createRunContexts, type RunContexts } from './run-context.js';
import type { Tls } from './tls/tls.js';
import { startSidecar, type SidecarProcess, type SidecarSpec } from './sidecar-process.js';

export interface ServiceBase {
  readonly config: Config;
  readonly logger: Logger;
  readonly registry: Registry;
  readonly logs: RunLogs;
  readonly blobs: BlobStore;
  readonly contexts: RunContexts;
  readonly keyring: Keyring;
  /** Certificates of this process; null: all is on loopback, or may be plain. */
  readonly tls: Tls | null;
  /** For people: service, host, process id. */
  readonly holder: string;
  /** Called as work progresses. */
  readonly heartbeat: () => void;
  /** Of the activity that is running. */
  readonly cancellation: () => AbortSignal;
}

export type ServiceBaseSpec = Pick<ServiceBase, 'config' | 'logger' | 'registry' | 'logs' | 'heartbeat' | 'cancellation' | 'tls'> & { readonly service: string };

export async function openServiceBase({ service, ...spec }: ServiceBaseSpec): Promise<ServiceBase> {
  const logs = measuredLogs(spec.logs, spec.registry);
  const blobs = measuredBlobs(await openBlobs(spec.config.blobs), spec.registry);
  return { ...spec, logs, blobs, contexts: createRunContexts(logs, blobs), keyring: openKeyring(spec.config.keysFile, spec.logger), holder: `${service} ${hostname()} ${process.pid}` };
}

/** A sidecar of this process. Threads and device are the configuration's: the same everywhere, or a run would not repeat bit for bit. */
export function startOwnSidecar(config: Config, logFile: string, more: Pick<SidecarSpec, 'tls' | 'exports'> = {}): Promise<SidecarProcess> {
  return startSidecar({
    python: config.tools.python, kernelsDirectory: `${config.packageRoot}/kernels`, blobs: config.blobs,
    threads: config.threads, device: config.device, logFile, ...more,
  });
}
