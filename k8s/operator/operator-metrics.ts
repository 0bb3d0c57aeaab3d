/** What the operator counts of itself. */
import type { Registry } from 'prom-client';
import { StemmaError } from '../../core/errors.js';
import { counter, gauge, histogram } from '../../services/runtime/metrics.js';
import type { KubeApi } from './api.js';

export interface OperatorMetrics {
  timed<T>(kind: string, work: () => Promise<T>): Promise<T>;
  counted(api: KubeApi): KubeApi;
}

export function operatorMetrics(registry: Registry, read: { readonly depth: () => number; readonly leads: () => boolean }): OperatorMetrics {
  const looks = histogram(registry, { name: 'stemma_operator_reconcile_seconds', help: 'Looks at a TrainingRun or a Teacher by outcome: ok, or the error\'s code.', labels: ['kind', 'outcome'] });
  const calls = counter(registry, { name: 'stemma_operator_api_calls_total', help: 'Calls of the Kubernetes API; a watch counts when it starts.', labels: ['method'] });
  gauge(registry, { name: 'stemma_operator_waiting', help: 'Objects that wait to be looked at.', collect: (metric) => metric.set(read.depth()) });
  gauge(registry, { name: 'stemma_operator_leads', help: '1 while this process holds the Lease, else 0.', collect: (metric) => metric.set(read.leads() ? 1 : 0) });
  return {
    async timed(kind, work) {
      const end = looks.startTimer({ kind });
      try {
        const result = await work();
        end({ outcome: 'ok' });
        return result;
      } catch (error) {
        end({ outcome: error instanceof StemmaError ? error.code : 'INTERNAL' });
        throw error;
      }
    },
    counted: (api) => ({
      ...api,
      call(call) {
        calls.inc({ method: call.method });
        return api.call(call);
      },
      watch(path, query, ...rest) {
        calls.inc({ method: 'WATCH' });
        return api.watch(path, query, ...rest);
      },
    }),
  };
}
