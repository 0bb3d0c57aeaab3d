/** HTTP as a process serves it and asks it: in plain text, or over TLS with certificates that change. */
import { createServer, get as getPlain, type IncomingMessage, type RequestListener, type Server, type ServerOptions } from 'node:http';
import { createServer as createSecureServer, get as getSecure, type Server as SecureServer } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { contextOf, HANDSHAKE_WITHIN_MS, type Clients } from './credentials.js';
import type { Tls } from './tls.js';

export interface Secured {
  readonly tls: Tls;
  readonly clients: Clients;
}

/** `secured` null: plain text. */
export function webServer(secured: Secured | null, options: ServerOptions, listener: RequestListener): Server | SecureServer {
  if (secured === null) return createServer(options, listener);
  const { tls, clients } = secured;
  const context = { requestCert: true, rejectUnauthorized: clients === 'required', handshakeTimeout: HANDSHAKE_WITHIN_MS };
  const server = createSecureServer({ ...options, ...context, ...contextOf(tls.current()) }, listener);
  const end = tls.onChange((material) => server.setSecureContext(contextOf(material)));
  server.once('close', end);
  return server;
}

/** Whether whoever asks showed a certificate that the authority vouches for. */
export function hasCertificate({ socket }: IncomingMessage): boolean {
  return 'authorized' in socket && (socket as TLSSocket).authorized;
}

export interface Answer {
  readonly ok: boolean;
  readonly text: string;
}

/**
 * Asks a process that we have started for what it says on a port that we have chosen. Its authority is checked, its name is not: it has no
 * name for this port. Rejects where nobody answers in time.
 */
export function askOwn(url: string, { tls, withinMs }: { readonly tls: Tls | null; readonly withinMs: number }): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(withinMs);
    const take = (response: IncomingMessage): void => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => { text += part; }).once('error', reject)
        .once('end', () => resolve({ ok: (response.statusCode ?? 500) < 300, text: text.trim() }));
    };
    const request = tls === null ? getPlain(url, { signal, agent: false }, take)
      : getSecure(url, { signal, agent: false, ...contextOf(tls.current()), checkServerIdentity: () => undefined }, take);
    request.once('error', reject);
  });
}
