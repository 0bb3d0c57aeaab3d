/** OpenTelemetry's SDK, set up: one queue and one exporter for the process's own spans and for its sidecar's. Only open-tracing.ts loads this file. */
import { context, type Span } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { setGlobalErrorHandler } from '@opentelemetry/core';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor, RandomIdGenerator, type IdGenerator, type SpanExporter } from '@opentelemetry/sdk-trace-base';
import type { TracingSetting } from './setting.js';
import type { Tracers } from './spans.js';

/** A rollout ends hundreds of turns at once; what does not fit is dropped. */
const QUEUE = { maxQueueSize: 16_384, maxExportBatchSize: 512, scheduledDelayMillis: 1000, exportTimeoutMillis: 10_000 };

export interface Sdk {
  readonly tracers: Tracers;
  /** Sends what has ended so far. */
  flush(): Promise<void>;
  shutdown(): Promise<void>;
}

export async function startSdk(setting: TracingSetting, service: string, onError: (error: unknown) => void): Promise<Sdk> {
  setGlobalErrorHandler(onError);
  const manager = new AsyncLocalStorageContextManager().enable();
  context.setGlobalContextManager(manager);
  const processor = new BatchSpanProcessor(await exporterOf(setting), QUEUE);
  const ids = new KnownIds();
  const provider = (name: string): BasicTracerProvider => new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': `stemma-${name}`, 'service.namespace': 'stemma', 'process.pid': process.pid }), spanProcessors: [processor], idGenerator: ids,
  });
  return {
    tracers: { own: provider(service).getTracer('stemma'), sidecar: provider('sidecar').getTracer('stemma'), withIds: (known, start) => ids.with(known, start) },
    flush: () => processor.forceFlush(),
    async shutdown() {
      context.disable();
      await processor.shutdown().catch(onError);
    },
  };
}

async function exporterOf({ endpoint, protocol, headers }: TracingSetting): Promise<SpanExporter> {
  if (protocol === 'grpc') {
    const [{ OTLPTraceExporter }, { Metadata }] = await Promise.all([import('@opentelemetry/exporter-trace-otlp-grpc'), import('@grpc/grpc-js')]);
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    return new OTLPTraceExporter({ url: endpoint, metadata });
  }
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-proto');
  return new OTLPTraceExporter({ url: endpoint, headers: { ...headers } });
}

/** Random ids, but for a span whose ids others know before it is made. */
class KnownIds implements IdGenerator {
  private readonly random = new RandomIdGenerator();
  private known: { readonly traceId: string; readonly spanId: string } | undefined;

  generateTraceId = (): string => this.known?.traceId ?? this.random.generateTraceId();
  generateSpanId = (): string => this.known?.spanId ?? this.random.generateSpanId();

  with(known: { readonly traceId: string; readonly spanId: string }, start: () => Span): Span {
    this.known = known;
    try {
      return start();
    } finally {
      this.known = undefined;
    }
  }
}
