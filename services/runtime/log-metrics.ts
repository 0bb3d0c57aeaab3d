/** A log that counts: latency and size of appends and reads, appends that wait to be acknowledged, failures by code. */
import type { Registry } from 'prom-client';
import type { EventLog, RunLogs, StoredEvent } from '../../core/ports.js';
import { measured, type CallMetrics } from './measured-call.js';
import { counter, gauge, histogram } from './metrics.js';

/** 1 to 16,384 in powers of four. */
const EVENT_BUCKETS = Array.from({ length: 8 }, (_, power) => 4 ** power);

interface LogMetrics {
  waiting(change: 1 | -1): void;
  reading(change: 1 | -1): void;
  /** Of one append of so many events. */
  append(events: number): CallMetrics<unknown>;
  readonly read: CallMetrics<readonly StoredEvent[]>;
}

/** The same logs; what is opened of them counts into the registry. Tails are not measured: they wait by design. */
export function measuredLogs(logs: RunLogs, registry: Registry): RunLogs {
  const metrics = createLogMetrics(registry);
  return { list: () => logs.list(), open: async (run, mode) => measuredLog(await logs.open(run, mode), metrics) };
}

function createLogMetrics(registry: Registry): LogMetrics {
  const waiting = gauge(registry, { name: 'stemma_log_waiting_appends', help: 'Appends that wait for the log to acknowledge them: the writer\'s queue.' });
  const reading = gauge(registry, { name: 'stemma_log_waiting_reads', help: 'Reads that wait for the log, over Kafka for its index to hold what was acknowledged: the readers\' queue.' });
  const errors = counter(registry, { name: 'stemma_log_errors_total', help: 'Failed calls of the log by error code.', labels: ['call', 'code'] });
  const appendSeconds = histogram(registry, { name: 'stemma_log_append_seconds', help: 'Latency of an append until it is durable.' });
  const appendEvents = histogram(registry, { name: 'stemma_log_append_events', help: 'Events of one append.', buckets: EVENT_BUCKETS });
  const readSeconds = histogram(registry, { name: 'stemma_log_read_seconds', help: 'Latency of reading on in one stream.' });
  const readEvents = histogram(registry, { name: 'stemma_log_read_events', help: 'Events of one read; most looks find none.', buckets: [0, ...EVENT_BUCKETS] });
  return {
    waiting: (change) => waiting.inc(change),
    reading: (change) => reading.inc(change),
    append: (events) => ({
      done: () => appendEvents.observe(events),
      failed: (code) => errors.inc({ call: 'append', code }),
      took: (seconds) => appendSeconds.observe(seconds),
    }),
    read: {
      done: ({ length }) => readEvents.observe(length),
      failed: (code) => errors.inc({ call: 'read', code }),
      took: (seconds) => readSeconds.observe(seconds),
    },
  };
}

function measuredLog(log: EventLog, metrics: LogMetrics): EventLog {
  return {
    async append(events) {
      metrics.waiting(1);
      return await measured(() => log.append(events), metrics.append(events.length)).finally(() => metrics.waiting(-1));
    },
    readStream(stream, fromPosition) {
      metrics.reading(1);
      return measured(() => log.readStream(stream, fromPosition), metrics.read).finally(() => metrics.reading(-1));
    },
    tail: (cursor, signal) => log.tail(cursor, signal),
    close: () => log.close(),
  };
}
