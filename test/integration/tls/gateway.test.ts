/** The gateway and the figures of a process over TLS: both transports, with and without certificates of callers, and the command line with a profile. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get, type RequestOptions } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StemmaError } from '../../../core/errors.js';
import { ControlServiceClient } from '../../../proto/gen/stemma/v1/control.js';
import { doors } from '../../../services/all-in-one/doors.js';
import { bearer } from '../../../services/gateway/client.js';
import { readConfig } from '../../../services/runtime/config.js';
import { callUnary, PLAIN_CHANNEL, type Channel } from '../../../services/runtime/grpc.js';
import { createRegistry, serveMetrics } from '../../../services/runtime/metrics.js';
import type { TlsFiles } from '../../../services/runtime/security-settings.js';
import { channelTo } from '../../../services/runtime/tls/credentials.js';
import { openTls } from '../../../services/runtime/tls/tls.js';
import { authority, HERE, LONG_AGO, type Authority } from '../../support/certificates.js';
import { openRealGateway, type RealGateway } from '../../support/real-gateway.js';

const home = mkdtempSync(join(tmpdir(), 'stemma-tls-gateway-'));
let ours: Authority;
let files: TlsFiles;
let gateway: RealGateway;
let strict: RealGateway;
let token: string;

const settingsOf = ({ certFile, keyFile, caFile }: TlsFiles) => ({ STEMMA_TLS_CERT_FILE: certFile, STEMMA_TLS_KEY_FILE: keyFile, STEMMA_TLS_CA_FILE: caFile });

beforeAll(async () => {
  ours = authority(home, 'ours');
  files = ours.issue('gateway', { names: HERE });
  gateway = await openRealGateway(settingsOf(files));
  strict = await openRealGateway({ ...settingsOf(files), STEMMA_GATEWAY_CLIENTS: 'required' });
  token = gateway.key('pilot', ['control']);
});
afterAll(async () => {
  await gateway.close();
  await strict.close();
  rmSync(home, { recursive: true, force: true });
});

const PAUSE = { run: 'r', updateId: 'u', action: 'pause', stage: '', path: '', valueJson: '' };

function pause(at: RealGateway, { credentials, options }: Channel, key: string): Promise<string> {
  const client = new ControlServiceClient(at.address, credentials, options);
  return callUnary(client.controlRun.bind(client), PAUSE, { boundary: 'gateway', timeoutMs: 20_000, metadata: bearer(key) })
    .then(() => 'OK', (error: unknown) => (error as StemmaError).code).finally(() => client.close());
}

function shown(own: TlsFiles, at: RealGateway): { readonly channel: Channel; close(): void } {
  const tls = openTls(own);
  return { channel: channelTo(tls, at.address), close: () => tls.close() };
}

function ask(url: string, options: RequestOptions = {}): Promise<number | string> {
  return new Promise((resolve) => {
    get(url, { agent: false, ca: readFileSync(ours.caFile), ...options }, (response) => { response.resume().once('end', () => resolve(response.statusCode ?? 0)); })
      .once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
}

const identity = (own: TlsFiles): RequestOptions => ({ cert: readFileSync(own.certFile), key: readFileSync(own.keyFile) });

describe('a gateway over TLS', () => {
  it('asks people for a key, not for a certificate, unless told to', async () => {
    const person = shown({ ...files, certFile: '', keyFile: '' }, gateway);
    expect(await pause(gateway, person.channel, token)).toBe('OK');
    expect(await pause(gateway, person.channel, 'stemma_other')).toBe('UNAUTHENTICATED');
    expect(await ask(`${gateway.url}/openapi.json`)).toBe(200);
    expect(await pause(strict, person.channel, strict.key('pilot', ['control']))).toBe('UNAVAILABLE');
    expect(await ask(`${strict.url}/openapi.json`)).not.toBe(200);
    person.close();
  });

  it('that asks for certificates takes a good one, beside the key, and no expired or foreign one', async () => {
    const good = ours.issue('laptop', { names: ['DNS:laptop.test'] });
    const key = strict.key('laptop', ['control']);
    const own = shown(good, strict);
    expect(await pause(strict, own.channel, key)).toBe('OK');
    expect(await pause(strict, own.channel, '')).toBe('UNAUTHENTICATED');
    own.close();
    expect(await ask(`${strict.url}/openapi.json`, identity(good))).toBe(200);
    for (const bad of [ours.issue('late', { names: HERE, ...LONG_AGO }), authority(home, 'theirs').issue('laptop', { names: HERE })]) {
      expect(await ask(`${strict.url}/openapi.json`, identity(bad))).not.toBe(200);
    }
  });

  it('is not believed under a name that its certificate does not have, nor by who has another authority', async () => {
    expect(await ask(`${gateway.url}/openapi.json`, { ca: readFileSync(authority(home, 'other').caFile) })).toMatch(/SELF_SIGNED|UNABLE_TO/);
    expect(await ask(gateway.url, { servername: 'stemma.example' })).toBe('ERR_TLS_CERT_ALTNAME_INVALID');
  });

  it('does not hear plain text, and counts who tries over HTTP', async () => {
    expect(await pause(gateway, PLAIN_CHANNEL, token)).toBe('UNAVAILABLE');
    const before = await gateway.refusals('tls');
    const { hostname, port } = new URL(gateway.url);
    await new Promise((resolve) => {
      const socket = connect(Number(port), hostname, () => socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n'));
      socket.resume().on('error', () => undefined).once('close', resolve);
    });
    await expect.poll(() => gateway.refusals('tls')).toBe(before + 1);
  });

  it('shows a new certificate to who connects, and stays for who is connected', async () => {
    const serial = (): Promise<string> => new Promise((resolve, reject) => {
      get(`${gateway.url}/openapi.json`, { agent: false, ca: readFileSync(ours.caFile) }, (response) => resolve((response.socket as unknown as { getPeerCertificate(): { serialNumber: string } }).getPeerCertificate().serialNumber)).once('error', reject);
    });
    const person = shown({ ...files, certFile: '', keyFile: '' }, gateway);
    const client = new ControlServiceClient(gateway.address, person.channel.credentials, person.channel.options);
    const open = (): Promise<unknown> => callUnary(client.controlRun.bind(client), PAUSE, { boundary: 'gateway', timeoutMs: 20_000, metadata: bearer(token) });
    await open();
    const before = await serial();
    ours.replace(files, ours.issue('gateway', { names: HERE }));
    await expect.poll(serial).not.toBe(before);
    await open();
    client.close();
    person.close();
  });

  it('is used by the command line with a profile', async () => {
    const profile = join(home, 'prod.profile');
    writeFileSync(join(home, 'prod.token'), `${token}\n`);
    const { certFile, keyFile } = ours.issue('laptop', { names: ['DNS:laptop.test'] });
    writeFileSync(profile, [
      `STEMMA_GATEWAY_ADDRESS=${gateway.address}`, `STEMMA_GATEWAY_TOKEN_FILE=${join(home, 'prod.token')}`,
      `STEMMA_TLS_CA_FILE=${ours.caFile}`, `STEMMA_TLS_CERT_FILE=${certFile}`, `STEMMA_TLS_KEY_FILE=${keyFile}`, '',
    ].join('\n'));
    const controls = await doors.connect(readConfig({ STEMMA_PROFILE: profile, STEMMA_TOOLCHAIN: join(home, 'none') }));
    expect(await controls.control({ run: 'r', updateId: 'from-profile', action: 'pause' })).toEqual({ effectiveStep: 3 });
    // Read for each call: a token that was renewed is used.
    writeFileSync(join(home, 'prod.token'), 'stemma_gone\n');
    await expect(controls.control({ run: 'r', updateId: 'again', action: 'pause' })).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    await controls.close();
  });
});

describe('figures over TLS', () => {
  it('are for who has a certificate; how a process is, is for whoever looks after it', async () => {
    const tls = openTls(files);
    const served = await serveMetrics({ registry: createRegistry({ processFigures: false }), host: '127.0.0.1', port: 0, tls });
    const health = served.url.replace('/metrics', '/healthz');
    expect(await ask(served.url)).toBe(403);
    expect(await ask(served.url, identity(authority(home, 'strangers').issue('prometheus', { names: HERE })))).toBe(403);
    expect(await ask(served.url, identity(ours.issue('prometheus', { names: HERE })))).toBe(200);
    expect(await ask(health)).toBe(200);
    await served.close();
    tls.close();
  });
});
