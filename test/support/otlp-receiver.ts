/**
 * A real receiver of OTLP traces, over gRPC and over HTTP: it decodes the official protocol (otlp/, OpenTelemetry's own files, Apache-2.0;
 * attributes.proto is their common.proto) with a library that shares nothing with the exporters.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';
import { Server, ServerCredentials, type handleUnaryCall } from '@grpc/grpc-js';
import protobuf from 'protobufjs';

export interface ReceivedSpan {
  readonly service: string;
  readonly traceId: string;
  readonly spanId: string;
  /** '' of a root. */
  readonly parentSpanId: string;
  readonly name: string;
  readonly kind: string;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly failed: boolean;
  readonly attributes: { readonly [name: string]: string };
}

export interface OtlpReceiver {
  /** http://host:port, for OTEL_EXPORTER_OTLP_ENDPOINT. */
  readonly grpc: string;
  readonly http: string;
  readonly spans: readonly ReceivedSpan[];
  readonly requests: readonly { readonly protocol: 'grpc' | 'http'; readonly headers: { readonly [name: string]: string } }[];
  /** Everything that arrived, as text: for what must not be in it. */
  text(): string;
  close(): Promise<void>;
}

interface Attribute { readonly key: string; readonly value?: { readonly [kind: string]: string } }
interface Request {
  readonly resourceSpans?: readonly {
    readonly resource?: { readonly attributes?: readonly Attribute[] };
    readonly scopeSpans?: readonly { readonly spans?: readonly Sent[] }[];
  }[];
}
interface Sent {
  readonly traceId: string; readonly spanId: string; readonly parentSpanId?: string; readonly name: string; readonly kind: string;
  readonly startTimeUnixNano: string; readonly endTimeUnixNano: string; readonly attributes?: readonly Attribute[]; readonly status?: { readonly code?: string };
}

const FOLDER = join(import.meta.dirname, 'otlp');

export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const root = new protobuf.Root();
  root.resolvePath = (_, target) => join(FOLDER, basename(target).replace('common.proto', 'attributes.proto'));
  await root.load('trace_service.proto');
  const requestType = root.lookupType('opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest');
  const answer = Buffer.from(root.lookupType('opentelemetry.proto.collector.trace.v1.ExportTraceServiceResponse').encode({}).finish());
  const spans: ReceivedSpan[] = [];
  const requests: { protocol: 'grpc' | 'http'; headers: Record<string, string> }[] = [];
  const texts: string[] = [];
  const take = (bytes: Uint8Array): void => {
    const request = requestType.toObject(requestType.decode(bytes), { longs: String, enums: String, bytes: String }) as Request;
    texts.push(JSON.stringify(request));
    spans.push(...spansOf(request));
  };
  const http = createServer((request, response) => void receive(request, response).catch(() => response.writeHead(400).end()));
  async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    if (request.url !== '/v1/traces' || request.headers['content-type'] !== 'application/x-protobuf') return void response.writeHead(404).end();
    requests.push({ protocol: 'http', headers: request.headers as Record<string, string> });
    take(Buffer.concat(chunks));
    response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end(answer);
  }
  await new Promise<void>((resolve) => { http.listen(0, '127.0.0.1', resolve); });
  const grpc = new Server();
  const handler: handleUnaryCall<Buffer, Buffer> = ({ request, metadata }, callback) => {
    requests.push({ protocol: 'grpc', headers: metadata.getMap() as Record<string, string> });
    take(request);
    callback(null, answer);
  };
  const identity = (bytes: Buffer): Buffer => bytes;
  grpc.addService({
    export: {
      path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export', requestStream: false, responseStream: false,
      requestSerialize: identity, requestDeserialize: identity, responseSerialize: identity, responseDeserialize: identity,
    },
  }, { export: handler });
  const port = await new Promise<number>((resolve, reject) => {
    grpc.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error === null ? resolve(bound) : reject(error)));
  });
  return {
    grpc: `http://127.0.0.1:${port}`, http: `http://127.0.0.1:${(http.address() as AddressInfo).port}`, spans, requests,
    text: () => texts.join('\n') + JSON.stringify(requests.map(({ protocol }) => protocol)),
    async close() {
      grpc.forceShutdown();
      http.closeAllConnections();
      await new Promise((resolve) => { http.close(resolve); });
    },
  };
}

const hex = (base64: string | undefined): string => Buffer.from(base64 ?? '', 'base64').toString('hex');
const named = (attributes: readonly Attribute[] = []): { readonly [name: string]: string } => Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value ?? {}).map(String).join()]));

function spansOf({ resourceSpans = [] }: Request): ReceivedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans = [] }) => scopeSpans.flatMap(({ spans = [] }) => spans.map((span): ReceivedSpan => ({
    service: named(resource?.attributes)['service.name'] ?? '', traceId: hex(span.traceId), spanId: hex(span.spanId), parentSpanId: hex(span.parentSpanId),
    name: span.name, kind: span.kind.replace('SPAN_KIND_', '').toLowerCase(), startNs: BigInt(span.startTimeUnixNano), endNs: BigInt(span.endTimeUnixNano),
    failed: span.status?.code === 'STATUS_CODE_ERROR', attributes: named(span.attributes),
  }))));
}
