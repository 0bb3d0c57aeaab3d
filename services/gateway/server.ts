/** The edge for other processes, over gRPC and HTTP/JSON: ControlService behind the guard, on loopback unless told otherwise. */
import type { Metadata, ServerWritableStream, ServiceError } from '@grpc/grpc-js';
import { ControlServiceService, type ControlServiceServer, type WatchRunRequest, type WatchRunResponse } from '../../proto/gen/stemma/v1/control.js';
import { once } from 'node:events';
import { SpanKind } from '@opentelemetry/api';
import { TRACEPARENT_KEY } from '../runtime/tracing/sidecar-spans.js';
import { inSpan } from '../runtime/tracing/spans.js';
import { serveGrpc, toServiceError, type GrpcListen, type RunningGrpcServer } from '../runtime/grpc.js';
import type { ControlApi } from './control-api.js';
import { callerOf, guardInterceptor } from './guard-grpc.js';
import type { Guard } from './guard.js';
import { transportRefusals } from './transport-refusals.js';

/** A request is settings and names; what is larger is none. */
export const MAX_REQUEST_BYTES = 256 * 1024;

export function serveGateway(api: ControlApi, guard: Guard, listen: Omit<GrpcListen, 'boundary'>): Promise<RunningGrpcServer> {
  const implementation: ControlServiceServer = {
    submitRun: unary('SubmitRun', ({ request, metadata }) => api.submitRun(request, callerOf(metadata))),
    getRun: unary('GetRun', ({ request }) => api.getRun(request)),
    getSeries: unary('GetSeries', ({ request }) => api.getSeries(request)),
    listRuns: unary('ListRuns', () => api.listRuns()),
    controlRun: unary('ControlRun', ({ request, metadata }) => api.controlRun(request, callerOf(metadata))),
    watchRun(call) {
      // Not destroy: a destroyed stream sends no status, and the caller waits for ever.
      watch(api, guard, call).catch((error: unknown) => call.emit('error', Object.assign(new Error('watch'), toServiceError(error))));
    },
  };
  const interceptors = [transportRefusals(guard), ...(listen.interceptors ?? []), guardInterceptor(guard)];
  return serveGrpc(ControlServiceService, implementation, { ...listen, interceptors, boundary: 'gateway', maxRequestBytes: MAX_REQUEST_BYTES });
}

interface Call<Request> {
  readonly request: Request;
  readonly metadata: Metadata;
}

function unary<Request, Response>(method: string, answer: (call: Call<Request>) => Promise<Response>) {
  return (call: Call<Request>, callback: (error: Partial<ServiceError> | null, response?: Response) => void): void => {
    inSpan(`ControlService/${method}`, { kind: SpanKind.SERVER, parent: call.metadata.get(TRACEPARENT_KEY)[0]?.toString() }, () => answer(call)).then((response) => callback(null, response), (error: unknown) => callback(toServiceError(error)));
  };
}

/** Waits when the reader is slow. */
async function watch(api: ControlApi, guard: Guard, call: ServerWritableStream<WatchRunRequest, WatchRunResponse>): Promise<void> {
  const done = guard.openStream(callerOf(call.metadata));
  const ended = new AbortController();
  call.on('cancelled', () => ended.abort());
  try {
    for await (const response of api.watchRun(call.request, ended.signal)) {
      if (!call.write(response)) await once(call, 'drain', { signal: ended.signal }).catch(() => undefined);
    }
  } finally {
    done();
  }
  call.end();
}
