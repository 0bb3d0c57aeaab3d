/** What others see of a process: its figures and its health on one port, served before all else, so that who watches sees it start. */
import type { Registry } from 'prom-client';
import type { Config } from './config.js';
import { createHealth, type Health } from './health.js';
import { registerMachineMetrics } from './machine-metrics.js';
import { registerTlsMetrics, type TlsMetrics } from './tls/metrics.js';
import type { Tls } from './tls/tls.js';
import { createRegistry, serveMetrics, type MetricsServer } from './metrics.js';

export interface Observed {
  readonly registry: Registry;
  readonly health: Health;
  readonly metrics: MetricsServer;
  readonly tlsMetrics: TlsMetrics;
}

export interface ObservedOptions {
  /** Figures of the process that are not in its registry. */
  readonly others?: () => Promise<string>;
  readonly tls: Tls | null;
}

export async function serveObserved({ listenHost, ports, home, blobs }: Config, { others, tls }: ObservedOptions): Promise<Observed> {
  const registry = createRegistry({ processFigures: true });
  registerMachineMetrics(registry, { home, blobs });
  const tlsMetrics = registerTlsMetrics(registry, tls);
  const health = createHealth();
  return { registry, health, tlsMetrics, metrics: await serveMetrics({ registry, health, others, tls, host: listenHost, port: ports.metrics }) };
}
