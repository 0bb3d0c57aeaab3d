/**
 * The compute sidecar's part of a trace. It is told the trace context (gRPC metadata `traceparent`, and a field of each sampling request,
 * for those share one stream), answers when it began, computed and ended, and we make the spans of it: it holds tensors, and needs neither
 * an exporter nor anyone's key. Both read one machine's clock.
 */
import { InterceptingCall, status, type Interceptor, type Metadata } from '@grpc/grpc-js';
import { SpanKind, SpanStatusCode, context, trace, type Context, type HrTime } from '@opentelemetry/api';
import { attributesOf, traceparent, tracersNow } from './spans.js';

export const TRACEPARENT_KEY = 'traceparent';
/** Trailing metadata: what the sidecar measured, JSON. */
const TIMES_KEY = 'stemma-times';

/** Nanoseconds since the epoch, as decimal strings: they are larger than a double holds. */
export interface SidecarTimes {
  readonly began: string;
  readonly ended: string;
  /** On the compute thread: from when it was its turn. */
  readonly computed: readonly (readonly [from: string, to: string])[];
}

/** Of every unary call that is made inside a span; none where nothing is traced. */
export function callInterceptors(): Interceptor[] {
  return traceparent() === '' ? [] : [clientSpan];
}

const clientSpan: Interceptor = (options, nextCall) => {
  const outer = context.active();
  const name = options.method_definition.path.replace(/^\/(?:[a-z0-9]+\.)*/, '');
  const span = tracersNow()?.own.startSpan(name, { kind: SpanKind.CLIENT, attributes: { 'rpc.system': 'grpc', 'rpc.method': name, ...attributesOf(outer) } }, outer);
  if (span === undefined) return new InterceptingCall(nextCall(options));
  const inner = trace.setSpan(outer, span);
  return new InterceptingCall(nextCall(options), {
    start(metadata, _, next) {
      metadata.set(TRACEPARENT_KEY, traceparent(inner));
      next(metadata, {
        onReceiveStatus(outcome, pass) {
          if (outcome.code !== status.OK) span.setAttribute('error.type', status[outcome.code]).setStatus({ code: SpanStatusCode.ERROR, message: status[outcome.code] });
          const times = timesIn(outcome.metadata);
          if (times !== undefined) sidecarSpan(name, times, inner);
          span.end();
          pass(outcome);
        },
      });
    },
  });
};

function timesIn(metadata: Metadata | undefined): SidecarTimes | undefined {
  const text = metadata?.get(TIMES_KEY)[0]?.toString();
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as SidecarTimes;
  } catch {
    return undefined;
  }
}

/** The sidecar's span, and one inside for each job on its compute thread. */
export function sidecarSpan(name: string, { began, ended, computed }: SidecarTimes, parent: Context): void {
  const tracer = tracersNow()?.sidecar;
  if (tracer === undefined) return;
  const attributes = attributesOf(parent);
  const span = tracer.startSpan(name, { kind: SpanKind.SERVER, startTime: hrTime(began), attributes }, parent);
  const inside = trace.setSpan(parent, span);
  for (const [from, to] of computed) tracer.startSpan('compute', { startTime: hrTime(from), attributes }, inside).end(hrTime(to));
  span.end(hrTime(ended));
}

function hrTime(nanoseconds: string): HrTime {
  const ns = BigInt(nanoseconds);
  return [Number(ns / 1_000_000_000n), Number(ns % 1_000_000_000n)];
}
