/** Every metric that any service registers, in one registry: what docs/metrics.md is made from. */
import type { Registry } from 'prom-client';
import { operatorMetrics } from '../../k8s/operator/operator-metrics.js';
import { createGuard } from '../../services/gateway/guard.js';
import { createRolloutMetrics } from '../../services/rollout/metrics.js';
import { measuredBlobs } from '../../services/runtime/blob-metrics.js';
import { grpcMetrics } from '../../services/runtime/grpc-metrics.js';
import { measuredLogs } from '../../services/runtime/log-metrics.js';
import { registerMachineMetrics } from '../../services/runtime/machine-metrics.js';
import { createRegistry } from '../../services/runtime/metrics.js';
import { registerRunMetrics } from '../../services/runtime/run-metrics.js';
import { registerTlsMetrics } from '../../services/runtime/tls/metrics.js';
import { registerSidecarMetrics } from '../../services/runtime/sidecar-metrics.js';
import { createScoringMetrics } from '../../services/teacher-scoring/metrics.js';
import { createTrainingMetrics } from '../../services/training/metrics.js';
import { createActivityMetrics } from '../../services/worker/activity-metrics.js';

export interface Family {
  readonly name: string;
  readonly type: string;
  readonly labels: readonly string[];
  readonly help: string;
}

/** Those of a platform, and those of the operator, which is a process of its own beside runs. */
export async function everyMetric(): Promise<Family[]> {
  const registry = createRegistry({ processFigures: false });
  operatorMetrics(registry, { depth: () => 0, leads: () => false });
  return [...await platformMetrics(), ...await familiesOf(registry)];
}

export async function platformMetrics(): Promise<Family[]> {
  const registry = createRegistry({ processFigures: false });
  registerRunMetrics(registry, () => []);
  registerMachineMetrics(registry, {});
  registerTlsMetrics(registry, null);
  createTrainingMetrics(registry);
  createRolloutMetrics(registry);
  createScoringMetrics(registry);
  createActivityMetrics(registry);
  grpcMetrics(registry);
  createGuard({ registry, keyring: { holder: () => undefined }, issuer: null, logger: { warn: () => undefined } });
  const unused = (): never => { throw new Error('never called'); };
  measuredLogs({ open: unused, list: unused }, registry);
  measuredBlobs({ put: unused, get: unused, has: unused }, registry);
  // Nobody listens there: a scrape says so.
  const { close } = registerSidecarMetrics(registry, '127.0.0.1:1');
  try {
    return await familiesOf(registry);
  } finally {
    close();
  }
}

async function familiesOf(registry: Registry): Promise<Family[]> {
  const labels = new Map((registry.getMetricsAsArray() as unknown as { name: string; labelNames: readonly string[] }[]).map(({ name, labelNames }) => [name, labelNames]));
  return (await registry.getMetricsAsJSON()).map(({ name, type, help }) => ({ name, type: String(type), help, labels: labels.get(name) ?? [] }));
}
