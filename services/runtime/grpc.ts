/**
 * gRPC as Stemma speaks it: one error model on both sides of the wire.
 * The trailing metadata key `stemma-reason` carries our ErrorCode; without it the status decides.
 */
import {
  Metadata, Server, ServerCredentials, credentials, status,
  type CallOptions, type ChannelCredentials, type ChannelOptions, type ServerInterceptor, type ServiceError, type UntypedServiceImplementation, type ServiceDefinition,
} from '@grpc/grpc-js';
import { setTimeout as delay } from 'node:timers/promises';
import { callInterceptors } from './tracing/sidecar-spans.js';
import { dialable } from './tls/loopback.js';
import { BOUNDARIES, ERROR_CODES, StemmaError, type Boundary, type ErrorCode } from '../../core/errors.js';

export const REASON_KEY = 'stemma-reason';
const REMEDY_KEY = 'stemma-remedy';
/** Where it differs from the caller's: a blob that the sidecar did not find. */
const BOUNDARY_KEY = 'stemma-boundary';

const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

/**
 * Keepalive stays above five minutes: gRPC servers close connections that ping more often without data.
 * Reconnecting is quick, because the usual peer is a supervised process that restarts in seconds.
 */
export const CHANNEL_OPTIONS: ChannelOptions = {
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
  'grpc.keepalive_time_ms': 330_000,
  'grpc.keepalive_timeout_ms': 20_000,
  'grpc.initial_reconnect_backoff_ms': 50,
  'grpc.min_reconnect_backoff_ms': 50,
  'grpc.max_reconnect_backoff_ms': 1000,
  'grpc.enable_retries': 0,
};

/** How a client reaches a server. */
export interface Channel {
  readonly credentials: ChannelCredentials;
  readonly options: ChannelOptions;
}

/** In plain text: on this machine, or where somebody has said so (STEMMA_INSECURE). */
export const PLAIN_CHANNEL: Channel = { credentials: credentials.createInsecure(), options: CHANNEL_OPTIONS };

/**
 * A connection is made anew after an hour, when no call is open on it or each has ended: certificates that were replaced, or an authority that is
 * believed no more, then hold for everyone. Streams are not cut.
 */
const MAX_CONNECTION_AGE_MS = 3_600_000;

/**
 * A server may ping as often as it likes. It must: a connection that its peer closed in the middle of a frame is noticed by the next
 * ping only, and keeps its socket until then (found by fuzzing).
 */
const SERVER_KEEPALIVE_MS = 20_000;

const CODE_OF_STATUS: { readonly [S in status]?: ErrorCode } = {
  [status.UNAVAILABLE]: 'UNAVAILABLE',
  [status.ABORTED]: 'UNAVAILABLE',
  [status.CANCELLED]: 'UNAVAILABLE',
  [status.DEADLINE_EXCEEDED]: 'TIMEOUT',
  [status.INVALID_ARGUMENT]: 'INVALID',
  [status.OUT_OF_RANGE]: 'INVALID',
  [status.NOT_FOUND]: 'NOT_FOUND',
  [status.FAILED_PRECONDITION]: 'INVALID',
  [status.RESOURCE_EXHAUSTED]: 'EXHAUSTED',
  [status.UNIMPLEMENTED]: 'UNSUPPORTED',
  [status.DATA_LOSS]: 'CORRUPT',
  [status.UNAUTHENTICATED]: 'UNAUTHENTICATED',
  [status.PERMISSION_DENIED]: 'FORBIDDEN',
  [status.INTERNAL]: 'INTERNAL',
  [status.UNKNOWN]: 'INTERNAL',
};

const STATUS_OF_CODE: { readonly [C in ErrorCode]: status } = {
  UNAVAILABLE: status.UNAVAILABLE,
  TIMEOUT: status.DEADLINE_EXCEEDED,
  WEIGHTS_NOT_LOADED: status.NOT_FOUND,
  WRONG_PARENT: status.FAILED_PRECONDITION,
  CLAIM_LOST: status.ABORTED,
  INVALID: status.INVALID_ARGUMENT,
  NOT_FOUND: status.NOT_FOUND,
  CORRUPT: status.DATA_LOSS,
  HASH_MISMATCH: status.DATA_LOSS,
  DISK_FULL: status.RESOURCE_EXHAUSTED,
  LOCKED: status.FAILED_PRECONDITION,
  UNSUPPORTED: status.UNIMPLEMENTED,
  DIVERGED: status.DATA_LOSS,
  EXHAUSTED: status.RESOURCE_EXHAUSTED,
  UNAUTHENTICATED: status.UNAUTHENTICATED,
  FORBIDDEN: status.PERMISSION_DENIED,
  INTERNAL: status.INTERNAL,
};

export function isErrorCode(text: string): text is ErrorCode {
  return (ERROR_CODES as readonly string[]).includes(text);
}

/** What failed on the other side, in our words. */
export function fromServiceError(asked: Boundary, error: ServiceError): StemmaError {
  const named = metadataText(error.metadata, BOUNDARY_KEY);
  const boundary = BOUNDARIES.find((known) => known === named) ?? asked;
  const reason = metadataText(error.metadata, REASON_KEY);
  const code = isErrorCode(reason) ? reason : codeOfStatus(error);
  const remedy = metadataText(error.metadata, REMEDY_KEY) || remedyOf(code, boundary, error.details || error.message);
  return new StemmaError(boundary, code, `${boundary}: ${error.details || error.message}`, remedy, error);
}

function codeOfStatus(error: ServiceError): ErrorCode {
  // A killed peer can surface as a reset stream, which grpc-js reports as INTERNAL.
  if (error.code === status.INTERNAL && /RST_STREAM|ECONNRESET|socket/i.test(error.details)) return 'UNAVAILABLE';
  return CODE_OF_STATUS[error.code] ?? 'INVALID';
}

/** A handshake that failed: nothing was asked yet, and new certificate files may mend it while both sides run. */
const HANDSHAKE = /certificate|altnames|EPROTO|ssl3|tls|wrong version number|self-signed/i;

function remedyOf(code: ErrorCode, boundary: Boundary, said: string): string {
  if (code === 'UNAVAILABLE' && HANDSHAKE.test(said)) return `Do both sides have certificates that the other's authority vouches for, for the name asked? See STEMMA_TLS_CERT_FILE and STEMMA_TLS_CA_FILE of the ${boundary}'s process and of this one.`;
  if (code === 'UNAVAILABLE' || code === 'TIMEOUT') return `Is the ${boundary}'s process running? Try again.`;
  if (code === 'WEIGHTS_NOT_LOADED') return 'Load the weights, then try again.';
  if (code === 'WRONG_PARENT') return 'Restore the parent state, then try again.';
  if (code === 'DISK_FULL') return 'Free space on that disk and try again.';
  if (boundary === 'blob') return 'Put a good copy of that file back into the blob directory.';
  return `Read the log of the ${boundary}'s process: it says why.`;
}

function metadataText(metadata: Metadata | undefined, key: string): string {
  const value = metadata?.get(key)[0];
  return value === undefined ? '' : value.toString();
}

/**
 * A status travels in a header, and a header that is too long breaks the connection for everyone on it: an error that quotes
 * what the caller sent must not be as long as that.
 */
const MAX_DETAILS = 2000;

function cut(text: string): string {
  return text.length <= MAX_DETAILS ? text : `${text.slice(0, MAX_DETAILS)}… (${text.length} characters)`;
}

/** What a handler answers with when it throws. */
export function toServiceError(error: unknown): Partial<ServiceError> {
  const metadata = new Metadata();
  if (!(error instanceof StemmaError)) {
    return { code: status.INTERNAL, details: cut(error instanceof Error ? error.message : String(error)), metadata };
  }
  metadata.set(REASON_KEY, error.code);
  metadata.set(BOUNDARY_KEY, error.boundary);
  // Header values are ASCII.
  metadata.set(REMEDY_KEY, cut(error.remedy).replace(/[^\x20-\x7e]/g, '?'));
  return { code: STATUS_OF_CODE[error.code], details: cut(error.message), metadata };
}

export type UnaryMethod<Request, Response> = (
  request: Request, metadata: Metadata, options: Partial<CallOptions>,
  callback: (error: ServiceError | null, response: Response) => void,
) => unknown;

export interface CallSettings {
  readonly boundary: Boundary;
  readonly timeoutMs: number;
  readonly metadata?: Metadata;
}

/** One unary call as a promise; rejects with a StemmaError. */
export function callUnary<Request, Response>(
  method: UnaryMethod<Request, Response>, request: Request, { boundary, timeoutMs, metadata = new Metadata() }: CallSettings,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const options = { deadline: Date.now() + timeoutMs, interceptors: callInterceptors() };
    method(request, metadata, options, (error, response) => {
      if (error === null) resolve(response);
      else reject(fromServiceError(boundary, error));
    });
  });
}

export interface RetrySettings {
  /** No new try starts later than this after the first. */
  readonly withinMs: number;
  readonly firstDelayMs?: number;
  readonly longestDelayMs?: number;
  /** Called before each wait: heartbeats, metrics. */
  readonly onRetry?: (error: StemmaError) => void;
}

/** Tries again, with doubling and capped waits, while the process on the other side is away (UNAVAILABLE, TIMEOUT). */
export async function retryUnavailable<T>(call: () => Promise<T>, settings: RetrySettings): Promise<T> {
  const { withinMs, firstDelayMs = 50, longestDelayMs = 1000, onRetry } = settings;
  const startedMs = Date.now();
  for (let waitMs = firstDelayMs; ; waitMs = Math.min(longestDelayMs, waitMs * 2)) {
    try {
      return await call();
    } catch (error) {
      if (!isAway(error) || Date.now() - startedMs + waitMs > withinMs) throw error;
      onRetry?.(error);
      await delay(waitMs);
    }
  }
}

function isAway(error: unknown): error is StemmaError {
  return error instanceof StemmaError && (error.code === 'UNAVAILABLE' || error.code === 'TIMEOUT');
}

export interface RunningGrpcServer {
  /** host:port, the port as bound, as this machine finds it. */
  readonly address: string;
  close(): Promise<void>;
}

export interface GrpcListen {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly boundary: Boundary;
  readonly interceptors?: readonly ServerInterceptor[];
  /** Of one message that arrives; RESOURCE_EXHAUSTED beyond. */
  readonly maxRequestBytes?: number;
  /** Absent: plain text. */
  readonly credentials?: ServerCredentials;
  /** Of a connection over TLS. */
  readonly maxConnectionAgeMs?: number;
}

/** Serves one service. UNAVAILABLE (with the reason) if it cannot bind. */
export async function serveGrpc(service: ServiceDefinition, implementation: UntypedServiceImplementation, listen: GrpcListen): Promise<RunningGrpcServer> {
  const server = new Server({
    ...CHANNEL_OPTIONS, 'grpc.keepalive_time_ms': SERVER_KEEPALIVE_MS, interceptors: [...(listen.interceptors ?? [])],
    'grpc.max_receive_message_length': listen.maxRequestBytes ?? MAX_MESSAGE_BYTES,
    ...(listen.credentials && { 'grpc.max_connection_age_ms': listen.maxConnectionAgeMs ?? MAX_CONNECTION_AGE_MS }),
  });
  server.addService(service, implementation);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`${listen.host}:${listen.port}`, listen.credentials ?? ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) return resolve(bound);
      reject(new StemmaError(listen.boundary, 'UNAVAILABLE', `cannot listen on ${listen.host}:${listen.port}: ${error.message}`,
        'Is the port in use? Choose another one, or end the process that holds it.', error));
    });
  });
  const close = () => new Promise<void>((resolve) => {
    const forced = setTimeout(() => server.forceShutdown(), 2000);
    server.tryShutdown(() => { clearTimeout(forced); resolve(); });
  });
  return { address: `${dialable(listen.host)}:${port}`, close };
}
