/** One gRPC call, written by hand over HTTP/2: so that what no client library would send can be sent, and the bare answer read. */
import { connect, constants, type ClientHttp2Session, type IncomingHttpHeaders, type SecureClientSessionOptions } from 'node:http2';

export interface Answer {
  /** gRPC's, or that of HTTP where the peer did not answer as gRPC; null: none came. */
  readonly grpcStatus: number | null;
  readonly httpStatus: number | null;
  /** Everything a person would read: status message, trailing metadata, body. */
  readonly text: string;
  /** 'ended' by the peer, 'reset' by it, 'cancelled' by us because it stayed open, or 'lost' with the connection. */
  readonly how: 'ended' | 'reset' | 'cancelled' | 'lost';
  readonly bytes: number;
}

export interface GrpcRequest {
  readonly path: string;
  readonly body: Uint8Array;
  readonly headers?: IncomingHttpHeaders;
  /** The body stays open: nothing ends it. */
  readonly open?: boolean;
  readonly patienceMs: number;
}

/** A message as gRPC frames it; `says` another length than it has. */
export function framed(message: Uint8Array, says = message.length, compressed = 0): Uint8Array {
  const head = Buffer.alloc(5);
  head.writeUInt8(compressed, 0);
  head.writeUInt32BE(says >>> 0, 1);
  return Buffer.concat([head, message]);
}

/** Connections to one address, made anew when the peer has closed the last one. */
export class GrpcWire {
  #session: ClientHttp2Session | undefined;
  readonly #all = new Set<ClientHttp2Session>();

  /** host:port, or https://host:port. */
  constructor(private readonly address: string, private readonly options: SecureClientSessionOptions = {}) {}

  call(request: GrpcRequest): Promise<Answer> {
    const session = this.#open();
    return new Promise((resolve) => {
      let httpStatus: number | null = null;
      let trailers: IncomingHttpHeaders = {};
      let text = '';
      let bytes = 0;
      let cancelled = false;
      const stream = session.request({
        ':method': 'POST', ':path': request.path, 'content-type': 'application/grpc', te: 'trailers', ...request.headers,
      });
      const finish = (): void => {
        clearTimeout(patience);
        const status = trailers['grpc-status'];
        const how = cancelled ? 'cancelled' : stream.rstCode !== constants.NGHTTP2_NO_ERROR && status === undefined ? 'reset' : httpStatus === null && status === undefined ? 'lost' : 'ended';
        resolve({ grpcStatus: status === undefined ? null : Number(status), httpStatus, how, bytes, text: `${decodeURIComponentSafe(String(trailers['grpc-message'] ?? ''))} ${JSON.stringify(trailers)} ${text}` });
      };
      const patience = setTimeout(() => { cancelled = true; stream.close(constants.NGHTTP2_CANCEL); setTimeout(finish, 500); }, request.patienceMs);
      stream.on('response', (headers) => { httpStatus = Number(headers[':status']); if (headers['grpc-status'] !== undefined) trailers = headers; });
      stream.on('trailers', (headers) => { trailers = headers; });
      stream.on('data', (data: Buffer) => { bytes += data.length; if (text.length < 20_000) text += data.toString('latin1'); });
      stream.on('error', () => undefined);
      stream.once('close', finish);
      stream.write(request.body, () => undefined);
      if (request.open !== true) stream.end();
    });
  }

  close(): void {
    for (const session of this.#all) session.destroy();
    this.#all.clear();
    this.#session = undefined;
  }

  #open(): ClientHttp2Session {
    if (this.#session === undefined || this.#session.closed || this.#session.destroyed) {
      this.#session = connect(this.address.includes('://') ? this.address : `http://${this.address}`, this.options);
      const session = this.#session;
      session.on('error', () => undefined);
      // No stream is heard on it any more.
      session.on('goaway', () => { if (this.#session === session) this.#session = undefined; });
      session.setMaxListeners(100);
      this.#all.add(session);
      session.once('close', () => this.#all.delete(session));
    }
    return this.#session;
  }
}

function decodeURIComponentSafe(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
