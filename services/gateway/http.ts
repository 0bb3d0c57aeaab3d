/**
 * ControlService as HTTP/JSON, from the same definition: POST /stemma.v1.ControlService/METHOD with the request message as JSON.
 * WatchRun answers with a JSON line an event. GET /openapi.json describes it.
 */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SpanKind } from '@opentelemetry/api';
import { StemmaError, type ErrorCode } from '../../core/errors.js';
import {
  ControlRunRequest, ControlRunResponse, GetRunRequest, GetRunResponse, GetSeriesRequest, GetSeriesResponse, ListRunsRequest, ListRunsResponse,
  SubmitRunRequest, SubmitRunResponse, WatchRunRequest, WatchRunResponse,
} from '../../proto/gen/stemma/v1/control.js';
import type { Attribution } from '../runtime/access/attribution.js';
import { inSpan } from '../runtime/tracing/spans.js';
import { dialable } from '../runtime/tls/loopback.js';
import { webServer, type Secured } from '../runtime/tls/web.js';
import type { ControlApi } from './control-api.js';
import type { Guard, Knock } from './guard.js';
import { MAX_REQUEST_BYTES } from './server.js';

const PREFIX = '/stemma.v1.ControlService/';
/** For the headers, and again for the body. */
const SLOW_MS = 10_000;

const STATUS_OF: { readonly [C in ErrorCode]?: number } = {
  INVALID: 400, UNAUTHENTICATED: 401, FORBIDDEN: 403, NOT_FOUND: 404, LOCKED: 409, EXHAUSTED: 429, UNSUPPORTED: 501, UNAVAILABLE: 503, TIMEOUT: 504,
};

export interface HttpGateway {
  /** http://HOST:PORT, or https://. */
  readonly url: string;
  close(): Promise<void>;
}

export interface HttpListen {
  readonly host: string;
  readonly port: number;
  /** null: plain text. */
  readonly secured: Secured | null;
  /** What GET /openapi.json answers. */
  readonly openapi: string;
}

export async function serveHttpGateway(api: ControlApi, guard: Guard, { host, port, secured, openapi }: HttpListen): Promise<HttpGateway> {
  const server = webServer(secured, { headersTimeout: SLOW_MS, requestTimeout: SLOW_MS, connectionsCheckingInterval: 1000, maxHeaderSize: 16 * 1024 }, (request, response) => {
    answer({ api, guard, openapi }, request, response).catch((error: unknown) => sendError(response, error));
  });
  const told = new WeakSet<object>();
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // Once a connection: one that was shut out for being slow then also ends in the middle of a request.
    if (told.has(socket)) return void socket.destroy();
    told.add(socket);
    guard.refused(error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'slow' : 'malformed', { method: '', peer: 'remoteAddress' in socket ? String(socket.remoteAddress) : '' });
    if (socket.writable) socket.end(`HTTP/1.1 ${error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? '408 Request Timeout' : '400 Bad Request'}\r\nconnection: close\r\n\r\n`);
    else socket.destroy();
  });
  server.on('tlsClientError', (_: Error, { remoteAddress }: { readonly remoteAddress?: string }) => guard.refused('tls', { method: '', peer: remoteAddress ?? '' }));
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(new StemmaError('gateway', 'UNAVAILABLE', `cannot listen on ${host}:${port}: ${error.message}`, 'Choose another STEMMA_HTTP_PORT, or 0 for any.', error)));
    server.listen(port, host, resolve);
  });
  return {
    url: `http${secured ? 's' : ''}://${dialable(host)}:${(server.address() as AddressInfo).port}`,
    close: () => new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    }),
  };
}

interface Context {
  readonly api: ControlApi;
  readonly guard: Guard;
  readonly openapi: string;
}

async function answer({ api, guard, openapi }: Context, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? '/').split('?')[0] ?? '/';
  if (request.method === 'GET' && path === '/openapi.json') return void response.writeHead(200, { 'content-type': 'application/json' }).end(openapi);
  const knock: Knock = { method: path.startsWith(PREFIX) ? path.slice(PREFIX.length) : path, authorization: request.headers.authorization ?? '', peer: request.socket.remoteAddress ?? '' };
  const caller = await guard.admit(knock);
  await admitted({ api, guard }, { caller, knock }, request, response).catch((error: unknown) => {
    if (error instanceof Malformed) guard.refused('malformed', knock);
    throw error;
  });
}

interface Admitted {
  readonly caller: Attribution;
  readonly knock: Knock;
}

async function admitted({ api, guard }: Pick<Context, 'api' | 'guard'>, { caller, knock }: Admitted, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== 'POST') throw new Malformed(`${request.method ?? ''} is not understood`, 'Use POST; see /openapi.json.');
  const json = await readJson(request, () => guard.refused('too-large', knock));
  if (knock.method === 'WatchRun') return watch({ api, guard }, caller, parsed(WatchRunRequest, json), response);
  const { traceparent } = request.headers;
  const spec = { kind: SpanKind.SERVER, parent: typeof traceparent === 'string' ? traceparent : '' };
  const text = JSON.stringify(await inSpan(`ControlService/${knock.method}`, spec, () => call(api, caller, knock.method, json)));
  response.writeHead(200, { 'content-type': 'application/json' }).end(text);
}

async function call(api: ControlApi, caller: Attribution, method: string, json: object): Promise<unknown> {
  switch (method) {
    case 'SubmitRun': return SubmitRunResponse.toJSON(await api.submitRun(parsed(SubmitRunRequest, json), caller));
    case 'GetRun': return GetRunResponse.toJSON(await api.getRun(parsed(GetRunRequest, json)));
    case 'GetSeries': return GetSeriesResponse.toJSON(await api.getSeries(parsed(GetSeriesRequest, json)));
    case 'ListRuns': parsed(ListRunsRequest, json); return ListRunsResponse.toJSON(await api.listRuns());
    case 'ControlRun': return ControlRunResponse.toJSON(await api.controlRun(parsed(ControlRunRequest, json), caller));
    default: throw new StemmaError('gateway', 'UNSUPPORTED', `there is no method ${method}`, 'See /openapi.json.');
  }
}

async function watch({ api, guard }: Pick<Context, 'api' | 'guard'>, caller: Attribution, request: WatchRunRequest, response: ServerResponse): Promise<void> {
  const done = guard.openStream(caller);
  const ended = new AbortController();
  response.on('close', () => ended.abort());
  try {
    for await (const event of api.watchRun(request, ended.signal)) {
      if (!response.headersSent) response.writeHead(200, { 'content-type': 'application/x-ndjson' });
      if (!response.write(`${JSON.stringify(WatchRunResponse.toJSON(event))}\n`)) await once(response, 'drain', { signal: ended.signal }).catch(() => undefined);
    }
  } finally {
    done();
  }
  response.end();
}

async function readJson(request: IncomingMessage, onTooLarge: () => void): Promise<object> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_REQUEST_BYTES) {
      onTooLarge();
      throw new StemmaError('gateway', 'EXHAUSTED', `the request is larger than ${MAX_REQUEST_BYTES} bytes`, 'Send less; large things go into blobs.');
    }
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  try {
    const value: unknown = JSON.parse(text === '' ? '{}' : text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch { /* said below */ }
  throw new Malformed('the body is no JSON object', 'Send the request message as JSON; see /openapi.json.');
}

/** fromJSON forgives what it does not know; a misspelt field must not. */
function parsed<T>(message: { fromJSON(value: unknown): T; fromPartial(value: object): T }, json: object): T {
  const known = Object.keys(message.fromPartial({}) as object);
  const unknown = Object.keys(json).filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Malformed(`unknown: ${unknown.join(', ').slice(0, 200)}`, `Known: ${known.join(', ') || 'nothing'}.`);
  try {
    return message.fromJSON(json);
  } catch (error) {
    throw new Malformed(`a field is malformed: ${(error as Error).message.slice(0, 200)}`, 'See /openapi.json.');
  }
}

/** No request of ours: counted as a refusal, unlike one that asks for what cannot be. */
class Malformed extends StemmaError {
  constructor(message: string, remedy: string) {
    super('gateway', 'INVALID', message, remedy);
  }
}

function sendError(response: ServerResponse, error: unknown): void {
  if (response.headersSent) return void response.destroy();
  const { code, boundary, message, remedy, retriable } = error instanceof StemmaError ? error : new StemmaError('gateway', 'INTERNAL', 'the gateway failed', 'Read its log: it says why.');
  response.writeHead(STATUS_OF[code] ?? 500, { 'content-type': 'application/json', connection: 'close', ...(code === 'UNAUTHENTICATED' ? { 'www-authenticate': 'Bearer' } : {}) });
  response.end(JSON.stringify({ code, boundary, message, remedy, retriable }));
}
