/** A log that counts: latency and size of appends and reads, appends that wait to be acknowledged, failures by code. */
import type { Histogram, Registry } from 'prom-client';
import { StemmaError } from '../../core/errors.js';
import type { EventLog, RunLogs } from '../../core/ports.js';
import { counter, gauge, histogram } from './metrics.js';

/** 1 to 16,384 in powers of four. */
const EVENT_BUCKETS = Array.from({ length: 8 }, (_, power) => 4 ** power);

interface LogMetrics {
  waiting(change: 1 | -1): void;
  readonly appendSeconds: Histogram;
  readonly appendEvents: Histogram;
  readonly readSeconds: Histogram;
  readonly readEvents: Histogram;
  failed(call: 'append' | 'read', error: unknown): void;
}

/** The same logs; what is opened of them counts into the registry. Tails are not measured: they wait by design. */
export function measuredLogs(logs: RunLogs, registry: Registry): RunLogs {
  const metrics = createLogMetrics(registry);
  return { list: () => logs.list(), open: async (run, mode) => measuredLog(await logs.open(run, mode), metrics) };
}

function createLogMetrics(registry: Registry): LogMetrics {
  const waiting = gauge(registry, { name: 'stemma_log_waiting_appends', help: 'Appends that wait for the log to acknowledge them: the writer\'s queue.' });
  const errors = counter(registry, { name: 'stemma_log_errors_total', help: 'Failed calls of the log by error code.', labels: ['call', 'code'] });
  return {
    waiting: (change) => waiting.inc(change),
    appendSeconds: histogram(registry, { name: 'stemma_log_append_seconds', help: 'Latency of an append until it is durable.' }),
    appendEvents: histogram(registry, { name: 'stemma_log_append_events', help: 'Events of one append.', buckets: EVENT_BUCKETS }),
    readSeconds: histogram(registry, { name: 'stemma_log_read_seconds', help: 'Latency of reading on in one stream.' }),
    readEvents: histogram(registry, { name: 'stemma_log_read_events', help: 'Events of one read; most looks find none.', buckets: [0, ...EVENT_BUCKETS] }),
    failed: (call, error) => errors.inc({ call, code: error instanceof StemmaError ? error.code : 'unknown' }),
  };
}

function measuredLog(log: EventLog, metrics: LogMetrics): EventLog {
  return {
    async append(events) {
      const startedMs = performance.now();
      metrics.waiting(1);
      try {
        await log.append(events);
        metrics.appendEvents.observe(events.length);
      } catch (error) {
        metrics.failed('append', error);
        throw error;
      } finally {
        metrics.waiting(-1);
        metrics.appendSeconds.observe((performance.now() - startedMs) / 1000);
      }
    },
    async readStream(stream, fromPosition) {
      const startedMs = performance.now();
      try {
        const events = await log.readStream(stream, fromPosition);
        metrics.readEvents.observe(events.length);
        return events;
      } catch (error) {
        metrics.failed('read', error);
        throw error;
      } finally {
        metrics.readSeconds.observe((performance.now() - startedMs) / 1000);
      }
    },
    tail: (cursor, signal) => log.tail(cursor, signal),
    close: () => log.close(),
  };
}
