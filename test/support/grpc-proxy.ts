/** Hands on calls of gRPC in plain text, and refuses those it is told to. */
import { connect, createServer, constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';

const PERMISSION_DENIED = '7';

export interface GrpcProxy {
  readonly address: string;
  close(): Promise<void>;
}

/** `refuses` is asked about each call, e.g. of /temporal.api.workflowservice.v1.WorkflowService/DescribeNamespace. */
export async function openGrpcProxy(target: string, refuses: (method: string) => boolean): Promise<GrpcProxy> {
  const upstream = connect(`http://${target}`);
  const server = createServer();
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    if (refuses(String(headers[':path']))) stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': PERMISSION_DENIED }, { endStream: true });
    else handOn(stream, headers);
  });
  const handOn = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void => {
    const call = upstream.request(headers);
    call.on('error', () => stream.close(constants.NGHTTP2_CANCEL));
    stream.on('close', () => call.close(constants.NGHTTP2_CANCEL));
    stream.pipe(call);
    call.on('response', (answer, flags) => {
      const ends = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      stream.respond(answer, ends ? { endStream: true } : { waitForTrailers: true });
      if (ends) return;
      call.pipe(stream);
      stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    });
    let trailers: IncomingHttpHeaders = {};
    call.on('trailers', (said) => { trailers = said; });
  };
  const sessions = new Set<{ destroy(): void }>();
  server.on('session', (session) => void sessions.add(session));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      for (const session of [...sessions, upstream]) session.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
