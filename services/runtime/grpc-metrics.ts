/** Requests that this process serves over gRPC: how many, how long, how they ended. */
import { ServerInterceptingCall, status, type ServerInterceptor } from '@grpc/grpc-js';
import type { Registry } from 'prom-client';
import { gauge, histogram } from './metrics.js';

const known = new WeakMap<Registry, ServerInterceptor>();

/** One for all servers of a process: methods are told apart by their full name. */
export function grpcMetrics(registry: Registry): ServerInterceptor {
  const interceptor = known.get(registry) ?? createInterceptor(registry);
  known.set(registry, interceptor);
  return interceptor;
}

function createInterceptor(registry: Registry): ServerInterceptor {
  const seconds = histogram(registry, { name: 'stemma_grpc_request_seconds', help: 'Requests served: latency until the answer, or until a stream ended.', labels: ['method', 'status'] });
  const open = gauge(registry, { name: 'stemma_grpc_open_requests', help: 'Requests being served.', labels: ['method'] });
  return ({ path }, call) => {
    const startedMs = performance.now();
    // /stemma.v1.ControlService/GetRun → ControlService/GetRun
    const method = path.replace(/^\/(?:[a-z0-9]+\.)*/, '');
    let ended = false;
    const end = (code: status): void => {
      if (ended) return;
      ended = true;
      open.dec({ method });
      seconds.observe({ method, status: status[code] }, (performance.now() - startedMs) / 1000);
    };
    open.inc({ method });
    return new ServerInterceptingCall(call, {
      start: (next) => next({
        onReceiveMetadata: (metadata, pass) => pass(metadata),
        onReceiveMessage: (message, pass) => pass(message),
        onReceiveHalfClose: (pass) => pass(),
        onCancel: () => end(status.CANCELLED),
      }),
      sendStatus(answer, next) {
        end(answer.code ?? status.OK);
        next(answer);
      },
    });
  };
}
