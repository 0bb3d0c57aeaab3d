/** What others see of a process: its figures and its health on one port, served before all else, so that who watches sees it start. */
import type { Registry } from 'prom-client';
import type { Config } from './config.js';
import { createHealth, type Health } from './health.js';
import { registerMachineMetrics } from './machine-metrics.js';
import { createRegistry, serveMetrics, type MetricsServer } from './metrics.js';

export interface Observed {
  readonly registry: Registry;
  readonly health: Health;
  readonly metrics: MetricsServer;
}

/** `others`: figures of the process that are not in its registry. */
export async function serveObserved({ listenHost, ports, home, blobs }: Config, others?: () => Promise<string>): Promise<Observed> {
  const registry = createRegistry({ processFigures: true });
  registerMachineMetrics(registry, { home, blobs });
  const health = createHealth();
  return { registry, health, metrics: await serveMetrics({ registry, health, others, host: listenHost, port: ports.metrics }) };
}
