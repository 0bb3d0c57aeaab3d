import { StemmaError } from '../../core/errors.js';

export interface CallMetrics<T> {
  readonly done: (result: T) => void;
  readonly failed: (code: string) => void;
  /** Whatever came of it. */
  readonly took: (seconds: number) => void;
}

export async function measured<T>(call: () => Promise<T>, metrics: CallMetrics<T>): Promise<T> {
  const startedMs = performance.now();
  try {
    const result = await call();
    metrics.done(result);
    return result;
  } catch (error) {
    metrics.failed(error instanceof StemmaError ? error.code : 'unknown');
    throw error;
  } finally {
    metrics.took((performance.now() - startedMs) / 1000);
  }
}
