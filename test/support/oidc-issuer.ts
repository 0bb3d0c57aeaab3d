/** A small OIDC issuer over real HTTP: its description, its keys, and tokens that it signs. It can be stopped, and start again at its address. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK, type JWTPayload } from 'jose';

export interface OidcIssuer {
  readonly url: string;
  /** How often its keys were asked for. */
  asked(): number;
  /** A token of its present key; `claims` beside or instead of good ones. */
  sign(claims?: JWTPayload, header?: { readonly kid?: string; readonly typ?: string }): Promise<string>;
  /** The public half of its present key. */
  publicJwk(): JWK;
  /** Signs with another key from now on; the old one is named no more. */
  rotate(): Promise<void>;
  stop(): Promise<void>;
  start(): Promise<void>;
}

const ALGORITHM = 'ES256';
export const AUDIENCE = 'stemma-gateway';

export async function openOidcIssuer(): Promise<OidcIssuer> {
  let server: Server | undefined;
  let port = 0;
  let asked = 0;
  let serial = 0;
  let signing: { readonly kid: string; readonly key: CryptoKey; readonly jwk: JWK };
  const rotate = async (): Promise<void> => {
    serial += 1;
    const { privateKey, publicKey } = await generateKeyPair(ALGORITHM, { extractable: true });
    const kid = `key-${serial}`;
    signing = { kid, key: privateKey, jwk: { ...await exportJWK(publicKey), kid, alg: ALGORITHM, use: 'sig' } };
  };
  const url = (): string => `http://127.0.0.1:${port}`;
  const start = async (): Promise<void> => {
    server = createServer((request, response) => {
      if (request.url === '/keys') asked += 1;
      const pages: Record<string, object> = { '/.well-known/openid-configuration': { issuer: url(), jwks_uri: `${url()}/keys` }, '/keys': { keys: [signing.jwk] } };
      const page = pages[request.url ?? ''];
      response.writeHead(page ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify(page ?? {}));
    }).listen(port, '127.0.0.1');
    await once(server, 'listening');
    ({ port } = server.address() as AddressInfo);
  };
  await rotate();
  await start();
  return {
    url: url(), asked: () => asked, rotate, start,
    publicJwk: () => signing.jwk,
    sign: (claims = {}, header = {}) => {
      const now = Math.floor(Date.now() / 1000);
      return new SignJWT({ iss: url(), aud: AUDIENCE, sub: 'ana', iat: now, exp: now + 300, groups: ['trainers'], ...claims })
        .setProtectedHeader({ alg: ALGORITHM, kid: signing.kid, ...header }).sign(signing.key);
    },
    async stop() {
      server?.closeAllConnections();
      await new Promise((resolve) => server?.close(resolve));
    },
  };
}
