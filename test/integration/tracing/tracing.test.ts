/** Off by default; over gRPC as over HTTP; and a collector that is away costs one warning. */
import { setTimeout as delay } from 'node:timers/promises';
import { SpanKind } from '@opentelemetry/api';
import { afterEach, describe, expect, it } from 'vitest';
import { StemmaError } from '../../../core/errors.js';
import { readConfig } from '../../../services/runtime/config.js';
import { freePorts } from '../../../services/runtime/free-port.js';
import { openTracing, type Tracing } from '../../../services/runtime/tracing/open-tracing.js';
import { callInterceptors, sidecarSpan } from '../../../services/runtime/tracing/sidecar-spans.js';
import { inSpan, traceparent, tracersNow } from '../../../services/runtime/tracing/spans.js';
import { context } from '@opentelemetry/api';
import { startOtlpReceiver, type OtlpReceiver } from '../../support/otlp-receiver.js';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => { for (const each of open.splice(0).reverse()) await each.close(); });

async function receiverHere(): Promise<OtlpReceiver> {
  const receiver = await startOtlpReceiver();
  open.push(receiver);
  return receiver;
}

const said: unknown[] = [];
async function tracingTo(environment: { readonly [name: string]: string }): Promise<Tracing> {
  said.length = 0;
  const tracing = await openTracing(readConfig({ STEMMA_TOOLCHAIN: 'none', ...environment }).tracing, 'test', { warn: (...line: unknown[]) => void said.push(line) });
  open.push(tracing);
  return tracing;
}

describe('without an endpoint', () => {
  it.each([{}, { OTEL_EXPORTER_OTLP_ENDPOINT: 'here', OTEL_TRACES_EXPORTER: 'none' }, { OTEL_EXPORTER_OTLP_ENDPOINT: 'here', OTEL_SDK_DISABLED: 'true' }])('nothing is made and nothing sent: %j', async (environment) => {
    const receiver = await receiverHere();
    const tracing = await tracingTo(Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, value === 'here' ? receiver.http : value])));
    await inSpan('work', { about: { run: 'r' } }, async () => {
      expect(tracersNow()).toBeUndefined();
      expect(traceparent()).toBe('');
      expect(callInterceptors()).toEqual([]);
      await Promise.resolve();
    });
    await tracing.close();
    expect(receiver.requests).toEqual([]);
  });
});

describe.each(['grpc', 'http/protobuf'] as const)('over %s', (protocol) => {
  it('spans arrive with what they are about, and with the collector\'s key', async () => {
    const receiver = await receiverHere();
    const tracing = await tracingTo({
      OTEL_EXPORTER_OTLP_ENDPOINT: protocol === 'grpc' ? receiver.grpc : receiver.http, OTEL_EXPORTER_OTLP_PROTOCOL: protocol, OTEL_EXPORTER_OTLP_HEADERS: 'x-key=a%20b',
    });
    const failure = new StemmaError('blob', 'CORRUPT', 'the password is hunter2', 'none');
    await inSpan('outer', { about: { run: 'r', stage: 's' }, kind: SpanKind.SERVER }, () => inSpan('inner', { about: { step: 3 } }, async () => {
      sidecarSpan('TrainerService/Step', { began: '1700000000000000001', ended: '1700000000000000009', computed: [['1700000000000000002', '1700000000000000003']] }, context.active());
      await delay(1);
      throw failure;
    })).catch((error: unknown) => expect(error).toBe(failure));
    await tracing.close();
    expect(said).toEqual([]);
    expect(receiver.requests.map(({ protocol: by, headers }) => [by, headers['x-key']])).toEqual([[protocol === 'grpc' ? 'grpc' : 'http', 'a b']]);
    const [step, compute, inner, outer] = ['TrainerService/Step', 'compute', 'inner', 'outer'].map((name) => receiver.spans.find((span) => span.name === name));
    expect(outer).toMatchObject({ service: 'stemma-test', parentSpanId: '', kind: 'server', attributes: { 'stemma.run': 'r', 'stemma.stage': 's' } });
    expect(inner).toMatchObject({ parentSpanId: outer?.spanId, traceId: outer?.traceId, failed: true, attributes: { 'stemma.run': 'r', 'stemma.stage': 's', 'stemma.step': '3', 'error.type': 'CORRUPT', 'stemma.boundary': 'blob' } });
    expect(step).toMatchObject({ service: 'stemma-sidecar', parentSpanId: inner?.spanId, startNs: 1_700_000_000_000_000_001n, endNs: 1_700_000_000_000_000_009n });
    expect(compute).toMatchObject({ service: 'stemma-sidecar', parentSpanId: step?.spanId, startNs: 1_700_000_000_000_000_002n, endNs: 1_700_000_000_000_000_003n });
    expect(receiver.text()).not.toContain('hunter2');
  });

  it('a collector that is away costs one warning, and nothing waits for it', async () => {
    const [port] = await freePorts(1);
    const tracing = await tracingTo({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`, OTEL_EXPORTER_OTLP_PROTOCOL: protocol });
    for (let i = 0; i < 2000; i += 1) expect(await inSpan('work', {}, () => Promise.resolve(i))).toBe(i);
    await expect.poll(() => said.length, { timeout: 30_000 }).toBe(1);
    for (let i = 0; i < 2000; i += 1) await inSpan('work', {}, () => Promise.resolve(i));
    await tracing.close();
    expect(said).toHaveLength(1);
  }, 60_000);
});
