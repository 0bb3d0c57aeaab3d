/**
 * Tracing of a process: off unless an OTLP endpoint is configured, and then OpenTelemetry's own SDK, loaded only now. Spans are sent in the
 * background; where the collector is away they are dropped and one warning is logged, and nothing else changes.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { TracingSetting } from './setting.js';
import type { Logger } from '../logger.js';
import { setTracers } from './spans.js';

export interface Tracing {
  /** Sends what is left, for at most three seconds. */
  close(): Promise<void>;
}

const LAST_SPANS_WITHIN_MS = 3000;

/** `service`: what the process is called in traces: all-in-one, learner, … */
export async function openTracing(setting: TracingSetting, service: string, logger: Pick<Logger, 'warn'>): Promise<Tracing> {
  if (setting.endpoint === '') return { close: () => Promise.resolve() };
  const { startSdk } = await import('./sdk.js');
  let warned = false;
  const sdk = await startSdk(setting, service, (error) => {
    if (warned) return;
    warned = true;
    // Its text could name the endpoint's query or a header: only what kind of failure it was.
    const { code, name } = error as { code?: unknown; name?: string };
    logger.warn({ reason: String(code ?? name ?? 'unknown') }, 'spans are not reaching the collector and are dropped; nothing else is affected. Said once.');
  });
  setTracers(sdk.tracers);
  return {
    async close() {
      setTracers(undefined);
      await Promise.race([sdk.shutdown(), delay(LAST_SPANS_WITHIN_MS, undefined, { ref: false })]);
    },
  };
}
