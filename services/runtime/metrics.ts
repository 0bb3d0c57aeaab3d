/**
 * prom-client with our naming held: `stemma_` first, base units (seconds, bytes, tokens), counters end in `_total`.
 * The registry is an argument, never global: two services in one process, or two tests, do not meet.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { StemmaError } from '../../core/errors.js';
import type { Health } from './health.js';
import { hasCertificate, webServer } from './tls/web.js';
import type { Tls } from './tls/tls.js';

export interface MetricSpec<L extends string> {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly L[];
}

const NAME = /^stemma_[a-z][a-z0-9_]*$/;
const NOT_BASE_UNITS = /_(ms|milliseconds|minutes|hours|kb|mb|gb|kib|mib|gib|percent)(_|$)/;

function checkedName(name: string, isCounter: boolean): string {
  if (!NAME.test(name) || NOT_BASE_UNITS.test(name)) throw new TypeError(`metric ${name}: expected stemma_ and a base unit (seconds, bytes, tokens, ratio)`);
  if (name.endsWith('_total') !== isCounter) throw new TypeError(`metric ${name}: _total is for counters, and counters have it`);
  return name;
}

/** Registry of one process, with Node's own figures (event loop, memory) when `processFigures` is set. */
export function createRegistry(options: { readonly processFigures: boolean }): Registry {
  const registry = new Registry();
  if (options.processFigures) collectDefaultMetrics({ register: registry });
  return registry;
}

export function counter<L extends string>(registry: Registry, spec: MetricSpec<L>): Counter<L> {
  return new Counter({ name: checkedName(spec.name, true), help: spec.help, labelNames: [...(spec.labels ?? [])], registers: [registry] });
}

/** `collect` is called and awaited at each scrape, where the value is cheaper to read than to keep. */
export function gauge<L extends string>(registry: Registry, spec: MetricSpec<L> & { readonly collect?: (gauge: Gauge<L>) => void | Promise<void> }): Gauge<L> {
  const read = spec.collect;
  return new Gauge<L>({
    name: checkedName(spec.name, false), help: spec.help, labelNames: [...(spec.labels ?? [])], registers: [registry],
    ...(read === undefined ? {} : { collect(this: Gauge<L>) { return read(this); } }),
  });
}

/** 1 ms to 64 s in powers of two: from a local call to a slow training step. */
export const LATENCY_BUCKETS_SECONDS: readonly number[] = Array.from({ length: 17 }, (_, power) => 2 ** power / 1000);

export function histogram<L extends string>(registry: Registry, spec: MetricSpec<L> & { readonly buckets?: readonly number[] }): Histogram<L> {
  return new Histogram({
    name: checkedName(spec.name, false), help: spec.help, labelNames: [...(spec.labels ?? [])],
    buckets: [...(spec.buckets ?? LATENCY_BUCKETS_SECONDS)], registers: [registry],
  });
}

export interface MetricsServer {
  readonly port: number;
  /** http://HOST:PORT/metrics, or https:// */
  readonly url: string;
  close(): Promise<void>;
}

export interface MetricsServerSpec {
  readonly registry: Registry;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Metrics of this process that are not in the registry, in the same text format. */
  readonly others?: () => Promise<string>;
  /** /healthz and /readyz answer 503 with what is wrong, a line each, or 200. Default: always well. */
  readonly health?: Pick<Health, 'live' | 'ready'>;
  /** Over TLS /metrics asks for a certificate; /healthz and /readyz ask nobody, as a kubelet has none. Default: plain text. */
  readonly tls?: Tls | null;
}

/** Serves /metrics, /healthz (live) and /readyz (ready). UNAVAILABLE when the port is in use. */
export async function serveMetrics(spec: MetricsServerSpec): Promise<MetricsServer> {
  const server = webServer(spec.tls ? { tls: spec.tls, clients: 'optional' } : null, {}, (request, response) => {
    answer(spec, request, response).catch((error: unknown) => send(response, 500, `${String(error)}\n`));
  });
  await listen(server, spec);
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http${spec.tls ? 's' : ''}://${spec.host}:${port}/metrics`,
    close: () => new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    }),
  };
}

async function answer(spec: MetricsServerSpec, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? '/').split('?')[0];
  if (path === '/metrics') {
    await answerFigures(spec, request, response);
  } else if (path === '/healthz' || path === '/readyz') {
    const problems = await spec.health?.[path === '/healthz' ? 'live' : 'ready']() ?? [];
    send(response, problems.length === 0 ? 200 : 503, `${problems.length === 0 ? 'ok' : problems.join('\n')}\n`);
  } else {
    send(response, 404, 'see /metrics, /healthz and /readyz\n');
  }
}

async function answerFigures(spec: MetricsServerSpec, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (spec.tls && !hasCertificate(request)) return send(response, 403, 'the figures are for who shows a certificate of a known authority\n');
  const [own, others] = await Promise.all([spec.registry.metrics(), spec.others?.() ?? '']);
  send(response, 200, own + others, spec.registry.contentType);
}

function send(response: ServerResponse, status: number, body: string, type = 'text/plain; charset=utf-8'): void {
  response.writeHead(status, { 'content-type': type }).end(body);
}

function listen(server: Server, { host, port }: MetricsServerSpec): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken = error.code === 'EADDRINUSE';
      reject(new StemmaError('setup', 'UNAVAILABLE', taken ? `port ${port} is in use` : `cannot serve metrics on port ${port}: ${error.message}`,
        'Set STEMMA_METRICS_PORT to a free port, or to 0 for any.', error));
    });
    server.listen(port, host, () => resolve());
  });
}
