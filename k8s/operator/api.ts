/**
 * The Kubernetes API: JSON over HTTPS. Addresses, certificates and tokens are the official client's (KubeConfig); its generated
 * serializers are not used: they drop fields they do not know.
 */
import { Agent, request, type RequestOptions } from 'node:https';
import type { IncomingMessage } from 'node:http';
import type { KubeConfig } from '@kubernetes/client-node';
import { StemmaError, type ErrorCode } from '../../core/errors.js';
import type { KubeObject } from './resources.js';

export interface KubeCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: { readonly [name: string]: string };
  readonly body?: unknown;
  readonly contentType?: string;
}

export interface WatchEvent<T extends KubeObject> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: T;
}

export interface KubeApi {
  /** Rejects with ApiRefusal where the server answers no, with UNAVAILABLE or TIMEOUT where it does not answer. */
  call<T>(call: KubeCall): Promise<T>;
  /** Resolves when the server ends the stream; rejects as `call` does, and for an ERROR event. */
  watch<T extends KubeObject>(path: string, query: { readonly [name: string]: string }, onEvent: (event: WatchEvent<T>) => void, signal: AbortSignal): Promise<void>;
  close(): void;
}

interface ServerStatus {
  readonly reason?: string;
  readonly message?: string;
  readonly code?: number;
}

const REMEDIES: { readonly [code: number]: string } = {
  401: 'Check the operator\'s service account and its token.',
  403: 'Grant the operator\'s role what it lacks: k8s/base lists what it needs.',
  404: 'If it is a TrainingRun or a Teacher: apply k8s/crds first.',
  409: 'Read it again and decide anew.',
  422: 'Correct the object.',
};

/** The server understood and said no. */
export class ApiRefusal extends StemmaError {
  readonly status: number;
  /** The server's word for it: NotFound, AlreadyExists, Conflict, Invalid, Expired … */
  readonly reason: string;

  constructor(status: number, said: ServerStatus, what: string) {
    super('kubernetes', codeOf(status), `${what}: ${said.message ?? `HTTP ${status}`}`, REMEDIES[status] ?? 'Try again.');
    this.status = status;
    this.reason = said.reason ?? '';
  }
}

function codeOf(status: number): ErrorCode {
  if (status === 404 || status === 410) return 'NOT_FOUND';
  return status === 409 || status === 429 || status >= 500 ? 'UNAVAILABLE' : 'INVALID';
}

export function isRefusal(error: unknown, reason: string): error is ApiRefusal {
  return error instanceof ApiRefusal && error.reason === reason;
}

export interface KubeApiOptions {
  /** A call without an answer after this long is given up. A leader's last write must not land after its lease has run out. */
  readonly timeoutMs: number;
}

export function kubeApi(config: KubeConfig, { timeoutMs }: KubeApiOptions): KubeApi {
  const server = config.getCurrentCluster()?.server;
  if (server === undefined) throw new StemmaError('kubernetes', 'INVALID', 'no cluster is configured', 'Set KUBECONFIG, or run inside a cluster.');
  let agent: Agent | undefined;
  const open = async (call: KubeCall, signal: AbortSignal): Promise<IncomingMessage> => {
    const options: RequestOptions = {};
    await config.applyToHTTPSOptions(options);
    agent ??= new Agent({ keepAlive: true, ca: options.ca, cert: options.cert, key: options.key, rejectUnauthorized: options.rejectUnauthorized });
    const url = new URL(`${server}${call.path}`);
    for (const [name, value] of Object.entries(call.query ?? {})) url.searchParams.set(name, value);
    return send(url, { ...options, agent, signal, method: call.method }, call);
  };
  return {
    async call<T>(call: KubeCall): Promise<T> {
      const signal = AbortSignal.timeout(timeoutMs);
      try {
        const response = await open(call, signal);
        const answer = JSON.parse(await textOf(response)) as ServerStatus;
        const status = response.statusCode ?? 0;
        if (status >= 200 && status < 300) return answer as T;
        throw new ApiRefusal(status, answer, `${call.method} ${call.path}`);
      } catch (error) {
        throw unanswered(error, `${call.method} ${call.path}`);
      }
    },
    async watch(path, query, onEvent, signal) {
      try {
        const response = await open({ method: 'GET', path, query: { ...query, watch: 'true' } }, signal);
        if (response.statusCode !== 200) throw new ApiRefusal(response.statusCode ?? 0, JSON.parse(await textOf(response)) as ServerStatus, `watch ${path}`);
        response.socket.setKeepAlive(true, 30_000);
        for await (const line of linesOf(response)) onEvent(checkedEvent(JSON.parse(line) as WatchEvent<never>, path));
      } catch (error) {
        throw unanswered(error, `watch ${path}`);
      }
    },
    close: () => agent?.destroy(),
  };
}

/** Refuses what would change something while `mayWrite` is false. */
export function guarded(api: KubeApi, mayWrite: () => boolean): KubeApi {
  return {
    ...api,
    call(call) {
      if (call.method !== 'GET' && !mayWrite()) return Promise.reject(notLeading());
      return api.call(call);
    },
  };
}

export function notLeading(): StemmaError {
  return new StemmaError('kubernetes', 'LOCKED', 'this operator does not lead: it writes nothing', 'Nothing to do: another operator leads, or this one is elected again.');
}

function send(url: URL, options: RequestOptions, { body, contentType }: KubeCall): Promise<IncomingMessage> {
  const payload = body === undefined ? undefined : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      ...options,
      headers: { ...options.headers, accept: 'application/json', ...(payload === undefined ? {} : { 'content-type': contentType ?? 'application/json', 'content-length': Buffer.byteLength(payload) }) },
    }, resolve);
    sent.on('error', reject);
    sent.end(payload);
  });
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

async function* linesOf(response: IncomingMessage): AsyncGenerator<string> {
  response.setEncoding('utf8');
  let rest = '';
  for await (const chunk of response) {
    const lines = (rest + (chunk as string)).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
}

function checkedEvent(event: WatchEvent<never>, path: string): WatchEvent<never> {
  if (event.type !== 'ERROR') return event;
  const status = event.object as ServerStatus;
  throw new ApiRefusal(status.code ?? 500, status, `watch ${path}`);
}

function unanswered(error: unknown, what: string): StemmaError {
  if (error instanceof StemmaError) return error;
  const late = error instanceof Error && (error.name === 'TimeoutError' || (error as { cause?: Error }).cause?.name === 'TimeoutError');
  return new StemmaError('kubernetes', late ? 'TIMEOUT' : 'UNAVAILABLE', `${what}: ${late ? 'no answer in time' : error instanceof Error ? error.message : String(error)}`,
    'Is the API server up? It is tried again.', error);
}
