/** Tokens of an OIDC issuer at a real gateway on both transports: whom they let in, every way in which they are not good, and an issuer that is away or changes its key. */
import { createHmac, generateKeyPairSync } from 'node:crypto';
import { exportJWK, SignJWT } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ControlServiceClient } from '../../../proto/gen/stemma/v1/control.js';
import { bearer } from '../../../services/gateway/client.js';
import { openIssuer } from '../../../services/runtime/access/issuer.js';
import { callUnary, PLAIN_CHANNEL } from '../../../services/runtime/grpc.js';
import type { StemmaError } from '../../../core/errors.js';
import { AUDIENCE, openOidcIssuer, type OidcIssuer } from '../../support/oidc-issuer.js';
import { openRealGateway, type RealGateway } from '../../support/real-gateway.js';

let issuer: OidcIssuer;
let gateway: RealGateway;
let client: ControlServiceClient;

beforeAll(async () => {
  issuer = await openOidcIssuer();
  gateway = await openRealGateway({
    STEMMA_OIDC_ISSUER: issuer.url, STEMMA_OIDC_AUDIENCE: AUDIENCE, STEMMA_OIDC_SCOPES: JSON.stringify({ trainers: ['read', 'control'], viewers: ['read'] }),
  });
  client = new ControlServiceClient(gateway.address, PLAIN_CHANNEL.credentials, PLAIN_CHANNEL.options);
});
afterAll(async () => {
  client.close();
  await gateway.close();
  await issuer.stop();
});
beforeEach(() => { gateway.taken.length = 0; });

const pause = (token: string): Promise<string> => callUnary(
  client.controlRun.bind(client), { run: 'r', updateId: 'u', action: 'pause', stage: '', path: '', valueJson: '' }, { boundary: 'gateway', timeoutMs: 20_000, metadata: bearer(token) },
).then(() => 'OK', (error: unknown) => (error as StemmaError).code);

async function pauseOverHttp(token: string): Promise<{ readonly status: number; readonly body: unknown }> {
  const response = await fetch(`${gateway.url}/stemma.v1.ControlService/ControlRun`, { method: 'POST', body: JSON.stringify({ run: 'r', updateId: 'u', action: 'pause' }), headers: { authorization: `Bearer ${token}` } });
  return { status: response.status, body: await response.json() };
}

const b64 = (value: unknown): string => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const seconds = (fromNow: number): number => Math.floor(Date.now() / 1000) + fromNow;

describe('a good token', () => {
  it('opens what its claim is mapped to, on both transports, under a name that no key can have', async () => {
    const token = await issuer.sign({ sub: 'ana|7' });
    expect(await pause(token)).toBe('OK');
    expect(await pauseOverHttp(token)).toMatchObject({ status: 200 });
    const who = { by: `oidc:${issuer.url.replace('http://', '')}#ana|7`, origin: '127.0.0.1' };
    expect(gateway.taken.map(({ who: asked }) => asked)).toEqual([who, who]);
    expect(() => gateway.key(who.by, ['read'])).toThrow(/name/);
  });

  it('opens nothing else', async () => {
    for (const groups of [['viewers'], 'viewers', [], ['constructor', '__proto__'], { trainers: true }, undefined]) expect(await pause(await issuer.sign({ groups }))).toBe('FORBIDDEN');
    expect(await pause(await issuer.sign({ groups: 'viewers trainers' }))).toBe('OK');
  });

  it('is forgiven a clock that is half a minute off', async () => {
    expect(await pause(await issuer.sign({ exp: seconds(-30) }))).toBe('OK');
    expect(await pause(await issuer.sign({ nbf: seconds(30) }))).toBe('OK');
  });

  it('leaves keys as they are', async () => {
    expect(await pause(gateway.key('pilot', ['control']))).toBe('OK');
    expect(gateway.taken).toMatchObject([{ who: { by: 'pilot' } }]);
  });
});

describe('a token that is not good', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const claims = () => ({ iss: issuer.url, aud: AUDIENCE, sub: 'ana', exp: seconds(300), groups: ['trainers'] });
  const tampered = async (): Promise<string> => {
    const [header, , signature] = (await issuer.sign()).split('.');
    return `${header}.${b64({ ...claims(), groups: ['trainers', 'viewers'] })}.${signature}`;
  };
  const hmacWithPublicKey = (): string => {
    const signed = `${b64({ alg: 'HS256', kid: issuer.publicJwk().kid })}.${b64(claims())}`;
    return `${signed}.${createHmac('sha256', JSON.stringify(issuer.publicJwk())).update(signed).digest('base64url')}`;
  };
  const ownKeyInHeader = async (): Promise<string> => {
    const jwk = await exportJWK(rsa);
    return new SignJWT(claims()).setProtectedHeader({ alg: 'RS256', jwk: { kty: 'RSA', n: jwk.n, e: jwk.e } }).sign(rsa);
  };

  it.each<[string, () => string | Promise<string>]>([
    ['has no algorithm', () => `${b64({ alg: 'none' })}.${b64(claims())}.`], ['has no algorithm, in other letters', () => `${b64({ alg: 'nOnE' })}.${b64(claims())}.`],
    ['is signed with the public key as a secret', hmacWithPublicKey], ['brings its own key', ownKeyInHeader],
    ['is signed by somebody else', () => new SignJWT(claims()).setProtectedHeader({ alg: 'RS256', kid: 'key-1' }).sign(rsa)],
    ['names a key that the issuer does not have', () => issuer.sign({}, { kid: 'other' })], ['was altered', tampered],
    ['has expired', () => issuer.sign({ exp: seconds(-120) })], ['never expires', () => issuer.sign({ exp: undefined })], ['holds only later', () => issuer.sign({ nbf: seconds(120) })],
    ['is for somebody else', () => issuer.sign({ aud: 'another' })], ['is for nobody', () => issuer.sign({ aud: undefined })], ['is of another issuer', () => issuer.sign({ iss: 'https://evil.test' })],
    ['names no subject', () => issuer.sign({ sub: undefined })], ['has a subject of control characters', () => issuer.sign({ sub: 'a\nb' })], ['has a very long subject', () => issuer.sign({ sub: 'x'.repeat(300) })],
    ['is no JSON', () => `${b64('{')}.${b64('{')}.x`], ['says nothing', () => `${b64({ alg: 'ES256', kid: 'key-1' })}.${b64({})}.AAAA`], ['is a critical extension', () => `${b64({ alg: 'ES256', crit: ['x'], x: 1 })}.${b64(claims())}.AAAA`],
  ])('that %s is refused and counted, on both transports', async (_, make) => {
    const before = await gateway.refusals('token');
    const token = await make();
    expect(await pause(token)).toBe('UNAUTHENTICATED');
    expect(await pauseOverHttp(token)).toMatchObject({ status: 401, body: { code: 'UNAUTHENTICATED' } });
    expect(gateway.taken).toEqual([]);
    expect(await gateway.refusals('token')).toBe(before + 2);
    expect(gateway.said.join('')).not.toContain(token);
  });

  it('that is huge is not even read', async () => {
    const { status } = await pauseOverHttp(await issuer.sign({ padding: 'x'.repeat(10_000) }));
    expect(status).toBe(401);
    expect(gateway.taken).toEqual([]);
  });

  it('does not make us ask the issuer again and again', async () => {
    const before = issuer.asked();
    await Promise.all(Array.from({ length: 30 }, async () => pause(await issuer.sign({}, { kid: `unknown-${Math.random()}` }))));
    expect(issuer.asked() - before).toBeLessThanOrEqual(1);
  });
});

describe('an issuer', () => {
  it('that is away: keys and the issuer\'s known keys go on; before they are known a token may be good later', async () => {
    const token = await issuer.sign();
    expect(await pause(token)).toBe('OK');
    await issuer.stop();
    try {
      expect(await pause(token)).toBe('OK');
      expect(await pause(gateway.key('still', ['control']))).toBe('OK');
      const anew = await openRealGateway({ STEMMA_OIDC_ISSUER: issuer.url, STEMMA_OIDC_AUDIENCE: AUDIENCE, STEMMA_OIDC_SCOPES: '{"trainers":["control"]}' });
      const response = await fetch(`${anew.url}/stemma.v1.ControlService/ControlRun`, { method: 'POST', body: '{}', headers: { authorization: `Bearer ${token}` } });
      expect(response.status).toBe(503);
      expect(await response.json()).toMatchObject({ code: 'UNAVAILABLE', retriable: true });
      expect(await anew.refusals('issuer')).toBe(1);
      await anew.close();
    } finally {
      await issuer.start();
    }
  });

  it('that changes its key is followed, that is away for long is not believed for ever', async () => {
    let now = Date.now();
    const minutes = (count: number): void => { now += count * 60_000; };
    const settings = { issuer: issuer.url, audience: AUDIENCE, claim: 'groups', scopes: {} };
    const known = openIssuer(settings, { logger: { warn: () => undefined }, nowMs: () => now });
    const signed = (): Promise<string> => issuer.sign({ exp: seconds(1_000_000) });
    const old = await signed();
    await known.holder(old);
    await issuer.rotate();
    minutes(1);
    await known.holder(await signed());
    // The issuer no longer names the old one.
    await expect(known.holder(old)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    const last = await signed();
    await issuer.stop();
    minutes(60);
    await known.holder(last);
    minutes(25 * 60);
    await expect(known.holder(last)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await issuer.start();
    minutes(1);
    await known.holder(last);
  });
});
