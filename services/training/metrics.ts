/** What learner and distiller spend their time on. What they learn is folded from the log instead (services/runtime/learning-metrics.ts). */
import type { Registry } from 'prom-client';
import { counter, histogram } from '../runtime/metrics.js';

/** close: a batch becomes a fact. step: the trainer computes it. commit: the result becomes a fact. recover: the trainer is brought to the last committed state. */
export type TrainingPart = 'close' | 'step' | 'commit' | 'snapshot' | 'publish' | 'recover';

export interface TrainingMetrics {
  /** Measures work that succeeds; failures are counted with the activity. */
  timed<T>(kind: string, part: TrainingPart, work: () => Promise<T>): Promise<T>;
  replayed(kind: string, steps: number): void;
}

export function createTrainingMetrics(registry: Registry): TrainingMetrics {
  const seconds = histogram(registry, { name: 'stemma_training_seconds', help: 'Latency of the parts of a step: close, step, commit, snapshot, publish; and of recovery.', labels: ['kind', 'part'] });
  const replayed = counter(registry, { name: 'stemma_training_replayed_steps_total', help: 'Committed steps computed again to recover the trainer\'s state.', labels: ['kind'] });
  return {
    async timed(kind, part, work) {
      const startedMs = performance.now();
      const result = await work();
      seconds.observe({ kind, part }, (performance.now() - startedMs) / 1000);
      return result;
    },
    replayed: (kind, steps) => replayed.inc({ kind }, steps),
  };
}
