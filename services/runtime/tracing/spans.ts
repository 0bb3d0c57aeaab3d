/**
 * Spans, as the services write them. Without tracing (the default) each of these is one comparison: nothing is made, kept or sent.
 * A span is about a run, stage, step, episode and turn, and so is all that happens inside it. It never holds what a person, a model or a
 * message said: no error's text, only its code and boundary.
 */
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, context, createContextKey, isSpanContextValid, trace, type Attributes, type Context, type Span, type Tracer } from '@opentelemetry/api';
import { StemmaError } from '../../../core/errors.js';

export interface About {
  readonly run?: string;
  readonly stage?: string;
  readonly step?: number;
  readonly episode?: string;
  readonly turn?: number;
}

export interface Tracers {
  readonly own: Tracer;
  /** Of the compute sidecar, for which we speak. */
  readonly sidecar: Tracer;
  /** A span whose id others know already; the trace's, where it is the first of its trace. */
  readonly withIds: (ids: { readonly traceId: string; readonly spanId: string }, start: () => Span) => Span;
}

let tracers: Tracers | undefined;

/** Once a process (open-tracing.ts); undefined ends it. */
export function setTracers(given: Tracers | undefined): void {
  tracers = given;
}

export function tracersNow(): Tracers | undefined {
  return tracers;
}

const ABOUT = createContextKey('stemma.about');

export interface SpanSpec {
  readonly about?: About;
  readonly kind?: SpanKind;
  readonly attributes?: Attributes;
  /** A traceparent of another process; '' or malformed: of the span that is open here, if any. */
  readonly parent?: string;
}

/** Does the work inside a span; whatever it starts is inside too. */
export async function inSpan<T>(name: string, { about = {}, kind = SpanKind.INTERNAL, attributes, parent = '' }: SpanSpec, work: () => Promise<T>): Promise<T> {
  if (tracers === undefined) return work();
  const outer = contextOf(parent) ?? context.active();
  const inner = outer.setValue(ABOUT, { ...(outer.getValue(ABOUT) as About | undefined), ...about });
  const span = tracers.own.startSpan(name, { kind, attributes: { ...attributes, ...attributesOf(inner) } }, inner);
  try {
    return await context.with(trace.setSpan(inner, span), work);
  } catch (error) {
    markFailed(span, error);
    throw error;
  } finally {
    span.end();
  }
}

/** What spans begun in this context are about. */
export function attributesOf(at: Context): Attributes {
  const about = (at.getValue(ABOUT) as About | undefined) ?? {};
  return Object.fromEntries(Object.entries(about).filter(([, value]) => value !== undefined && value !== '').map(([name, value]) => [`stemma.${name}`, value as string | number]));
}

export function markFailed(span: Span, error: unknown): void {
  const known = error instanceof StemmaError ? { 'error.type': error.code, 'stemma.boundary': error.boundary } : { 'error.type': error instanceof Error ? error.name : 'unknown' };
  span.setAttributes(known).setStatus({ code: SpanStatusCode.ERROR, message: known['error.type'] });
}

const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** W3C trace context of the span that is open here; '' where there is none. */
export function traceparent(of: Context = context.active()): string {
  const span = tracers === undefined ? undefined : trace.getSpanContext(of);
  if (span === undefined || !isSpanContextValid(span)) return '';
  return `00-${span.traceId}-${span.spanId}-${span.traceFlags.toString(16).padStart(2, '0')}`;
}

/** Undefined for what is no traceparent. */
export function contextOf(header: string): Context | undefined {
  const [, traceId = '', spanId = '', flags = '00'] = TRACEPARENT.exec(header) ?? [];
  const span = { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true };
  return isSpanContextValid(span) ? trace.setSpanContext(ROOT_CONTEXT, span) : undefined;
}
