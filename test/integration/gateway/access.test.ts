/** A real gateway on both transports, and who is let in: what is refused is counted, said, and changes nothing. */
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ControlRunRequest, ControlServiceClient } from '../../../proto/gen/stemma/v1/control.js';
import { openDirectoryBlobs } from '../../../services/adapters/blob/directory.js';
import { openEmbeddedLogs } from '../../../services/adapters/log/embedded.js';
import { bearer } from '../../../services/gateway/client.js';
import { openGateway, type OpenGateway } from '../../../services/gateway/open-gateway.js';
import { LIMITS } from '../../../services/gateway/limits.js';
import { openKeyring } from '../../../services/runtime/access/keyring.js';
import { addKey, keysFileOrNew, writeKeysFile } from '../../../services/runtime/access/keys-file.js';
import type { Scope } from '../../../services/runtime/access/scopes.js';
import { readConfig } from '../../../services/runtime/config.js';
import { PLAIN_CHANNEL, callUnary } from '../../../services/runtime/grpc.js';
import { framed, GrpcWire } from '../../fuzz/harness/grpc-call.js';
import { EPISODE, turnEvent } from '../../support/log-events.js';

const CALL = { boundary: 'gateway', timeoutMs: 20_000 } as const;
const home = mkdtempSync(join(tmpdir(), 'stemma-gateway-'));
const config = readConfig({ STEMMA_HOME: home, STEMMA_TOOLCHAIN: join(home, 'none') });
const registry = new Registry();
const said: string[] = [];
const logger = pino({ level: 'warn' }, { write: (line: string) => void said.push(line) });
/** What reached Temporal's side. */
const taken: { readonly asked: unknown; readonly who: unknown }[] = [];

let gateway: OpenGateway;
let logs: Awaited<ReturnType<typeof openEmbeddedLogs>>;
let client: ControlServiceClient;
let close: () => Promise<void>;
const tokens: Record<string, string> = {};

function key(name: string, scopes: readonly Scope[], expiresAt?: string): void {
  const { file, token } = addKey(keysFileOrNew(config.keysFile), { name, scopes, ...(expiresAt === undefined ? {} : { expiresAt }) });
  writeKeysFile(config.keysFile, file);
  tokens[name] = token;
}

beforeAll(async () => {
  key('reader', ['read']);
  key('submitter', ['submit']);
  key('pilot', ['control', 'read']);
  key('chief', ['admin']);
  key('late', ['admin'], '2020-01-01T00:00:00Z');
  logs = await openEmbeddedLogs(config.home);
  const blobs = await openDirectoryBlobs(config.blobs);
  const take = (asked: unknown, who: unknown): void => void taken.push({ asked, who });
  gateway = await openGateway({ config, tls: null, logger, registry, logs, blobs, keyring: openKeyring(config.keysFile, logger) }, {
    submit: async (asked, who) => take(asked, who),
    control: async (asked, who) => { take(asked, who); return { effectiveStep: 3 }; },
  });
  client = new ControlServiceClient(gateway.address, PLAIN_CHANNEL.credentials, PLAIN_CHANNEL.options);
  close = async () => {
    client.close();
    await gateway.close();
    await logs.close();
  };
});
afterAll(async () => {
  await close();
  rmSync(home, { recursive: true, force: true });
});
beforeEach(() => { taken.length = 0; said.length = 0; });

const PAUSE = { run: 'r', updateId: 'u', action: 'pause', stage: '', path: '', valueJson: '' };
const submit = (token: string) => callUnary(client.submitRun.bind(client), { recipe: 'micro', seed: 1n, requestId: 'r', fork: undefined }, { ...CALL, metadata: bearer(token) });
const list = (token: string) => callUnary(client.listRuns.bind(client), {}, { ...CALL, metadata: bearer(token) });
const pause = (token: string, more = new Metadata()) => {
  const metadata = bearer(token);
  metadata.merge(more);
  return callUnary(client.controlRun.bind(client), PAUSE, { ...CALL, metadata });
};

async function post(method: string, body: string, headers: Record<string, string> = {}): Promise<{ readonly status: number; readonly body: unknown }> {
  const response = await fetch(`${gateway.url}/stemma.v1.ControlService/${method}`, { method: 'POST', body, headers });
  return { status: response.status, body: await response.json() };
}
const as = (name: string): Record<string, string> => ({ authorization: `Bearer ${tokens[name] ?? ''}` });
async function refusals(reason: string): Promise<number> {
  const metric = await registry.getSingleMetric('stemma_gateway_refused_requests_total')?.get();
  return metric?.values.find(({ labels }) => labels['reason'] === reason)?.value ?? 0;
}

describe('over gRPC', () => {
  it.each([
    ['no key', '', 'UNAUTHENTICATED', 'no-key'], ['an unknown key', 'stemma_unknown', 'UNAUTHENTICATED', 'no-key'],
    ['an expired key', 'late', 'UNAUTHENTICATED', 'expired'], ['a key of another scope', 'reader', 'FORBIDDEN', 'scope'],
  ])('%s is refused, counted and logged, and nothing happens', async (_, name, code, reason) => {
    const before = await refusals(reason);
    await expect(pause(tokens[name] ?? name)).rejects.toMatchObject({ boundary: 'gateway', code, retriable: false });
    expect(taken).toEqual([]);
    expect(await refusals(reason)).toBe(before + 1);
    expect(JSON.parse(said[0] ?? '{}')).toMatchObject({ reason, method: 'ControlRun', origin: '127.0.0.1' });
    expect(said.join('')).not.toMatch(/stemma_/);
  });

  it('each scope opens its own methods, admin all', async () => {
    const open = async (name: string): Promise<boolean[]> => Promise.all([list, submit, pause].map((call) => call(tokens[name] ?? '').then(() => true, () => false)));
    expect(await open('reader')).toEqual([true, false, false]);
    expect(await open('submitter')).toEqual([false, true, false]);
    expect(await open('pilot')).toEqual([true, false, true]);
    expect(await open('chief')).toEqual([true, true, true]);
  });

  it('says who asked, from where, and takes nobody\'s word for it', async () => {
    const forged = new Metadata();
    forged.set('stemma-caller-bin', Buffer.from(JSON.stringify({ by: 'chief', origin: 'moon' })));
    await pause(tokens['pilot'] ?? '', forged);
    expect(taken).toEqual([{ asked: { run: 'r', updateId: 'u', action: 'pause' }, who: { by: 'pilot', origin: '127.0.0.1' } }]);
  });

  it('a key that is added holds at once, and one that is removed no more', async () => {
    key('new', ['read']);
    await list(tokens['new'] ?? '');
    const { keys, seal } = keysFileOrNew(config.keysFile);
    writeKeysFile(config.keysFile, { seal, keys: keys.filter(({ name }) => name !== 'new') });
    await expect(list(tokens['new'] ?? '')).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  it('a request that is too large is refused, counted and logged', async () => {
    const before = await refusals('too-large');
    const large = { ...PAUSE, valueJson: 'x'.repeat(300 * 1024) };
    const error = await callUnary(client.controlRun.bind(client), large, { ...CALL, metadata: bearer(tokens['pilot'] ?? '') }).catch((thrown: unknown) => thrown);
    expect((error as { cause: ServiceError }).cause.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(taken).toEqual([]);
    expect(await refusals('too-large')).toBe(before + 1);
    expect(JSON.parse(said.join(''))).toMatchObject({ reason: 'too-large', method: 'ControlRun', origin: '127.0.0.1' });
  });

  it.each<[string, string, number, Uint8Array, Record<string, string>]>([
    ['that unpacks to too much', 'too-large', status.RESOURCE_EXHAUSTED, framed(gzipSync(Buffer.alloc(1_000_000)), undefined, 1), { 'grpc-encoding': 'gzip' }],
    ['that is none', 'malformed', status.INTERNAL, framed(Buffer.from([0xff, 0xff, 0xff])), {}],
    ['in an encoding that there is not', 'malformed', status.UNIMPLEMENTED, framed(Buffer.from('x'), undefined, 1), { 'grpc-encoding': 'snappy' }],
    ['with a time-out that is none', 'malformed', status.INTERNAL, framed(Buffer.alloc(0)), { 'grpc-timeout': 'soon' }],
    ['that never ends', 'slow', status.DEADLINE_EXCEEDED, framed(Buffer.alloc(3), 100).subarray(0, 6), {}],
  ])('a message %s is refused, counted and logged, and the connection goes on', async (...[, reason, expected, body, headers]) => {
    const before = await refusals(reason);
    const wire = new GrpcWire(gateway.address);
    const authorization = `Bearer ${tokens['pilot'] ?? ''}`;
    const path = '/stemma.v1.ControlService/ControlRun';
    const answer = await wire.call({ path, body, headers: { ...headers, authorization }, patienceMs: 20_000, open: reason === 'slow' });
    expect(answer, answer.text).toMatchObject({ grpcStatus: expected });
    expect(taken).toEqual([]);
    expect(await refusals(reason)).toBe(before + 1);
    expect(JSON.parse(said.join(''))).toMatchObject({ reason, method: 'ControlRun', origin: '127.0.0.1' });
    expect((await wire.call({ path, body: framed(ControlRunRequest.encode(PAUSE).finish()), headers: { authorization }, patienceMs: 10_000 })).grpcStatus).toBe(0);
    expect(taken).toHaveLength(1);
    wire.close();
  }, 40_000);

  it('more streams at once than a key may have are refused, counted and logged; one that ends makes room', async () => {
    key('watcher', ['read']);
    const log = await logs.open('watched', 'write');
    await log.append([turnEvent(EPISODE, '', 1)]);
    await log.close();
    const watch = (run = 'watched') => client.watchRun({ run, cursor: '' }, bearer(tokens['watcher'] ?? ''));
    const first = (stream: ReturnType<typeof watch>): Promise<string> => new Promise((resolve) => { stream.once('data', () => resolve('an event')).once('error', (error: ServiceError) => resolve(status[error.code])); });
    expect(await first(watch('nothing'))).toBe('NOT_FOUND');
    const streams = Array.from({ length: LIMITS.openStreams }, () => watch());
    for (const stream of streams) stream.on('error', () => undefined);
    expect(new Set(await Promise.all(streams.map(first)))).toEqual(new Set(['an event']));
    expect(await first(watch())).toBe('RESOURCE_EXHAUSTED');
    expect(await refusals('streams')).toBe(1);
    expect(JSON.parse(said.join(''))).toMatchObject({ reason: 'streams', method: 'WatchRun', origin: '127.0.0.1' });
    streams[0]?.cancel();
    await expect.poll(async () => { const stream = watch().on('error', () => undefined); streams.push(stream); return first(stream); }).toBe('an event');
    for (const stream of streams) stream.cancel();
  });

  it('who asks too often is told when to ask again', async () => {
    key('busy', ['read']);
    const outcomes = await Promise.allSettled(Array.from({ length: 400 }, () => list(tokens['busy'] ?? '')));
    const refused = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as { code: string; retriable: boolean; remedy: string }] : []));
    expect(refused.length).toBeGreaterThan(0);
    expect(refused[0]).toMatchObject({ code: 'UNAVAILABLE', retriable: true, remedy: expect.stringMatching(/Try again in \d+ ms/) as string });
    expect(await refusals('rate')).toBe(refused.length);
    expect(JSON.parse(said[0] ?? '{}')).toMatchObject({ reason: 'rate', method: 'ListRuns' });
    await list(tokens['reader'] ?? '');
  });
});

describe('over HTTP', () => {
  it('the same methods, keys and answers', async () => {
    const listed = await post('ListRuns', '', as('reader'));
    expect({ status: listed.status, body: { progressJson: [], ...listed.body as object } }).toEqual({ status: 200, body: await list(tokens['reader'] ?? '') });
    expect(await post('ControlRun', JSON.stringify({ run: 'r', updateId: 'u', action: 'pause' }), as('pilot'))).toEqual({ status: 200, body: { effectiveStep: 3 } });
    expect(taken).toEqual([{ asked: { run: 'r', updateId: 'u', action: 'pause' }, who: { by: 'pilot', origin: '127.0.0.1' } }]);
    expect(await post('GetRun', '{"run":"nothing"}', as('reader'))).toMatchObject({ status: 404, body: { code: 'NOT_FOUND', remedy: expect.any(String) as string } });
  });

  it.each([
    ['no key', 'no-key', 'ListRuns', '{}', '', 401], ['an unknown key', 'no-key', 'ListRuns', '{}', 'nobody', 401], ['an expired key', 'expired', 'ListRuns', '{}', 'late', 401],
    ['another scope', 'scope', 'ControlRun', '{}', 'reader', 403], ['no such method', 'scope', 'Reboot', '{}', 'reader', 403],
    ['a body that is no object', 'malformed', 'ListRuns', '[1]', 'reader', 400], ['broken JSON', 'malformed', 'ListRuns', '{"a":', 'reader', 400], ['an unknown field', 'malformed', 'GetRun', '{"rum":"r"}', 'reader', 400],
    ['a body that is too large', 'too-large', 'GetRun', `{"run":"${'x'.repeat(300_000)}"}`, 'reader', 429],
  ])('%s is refused with a message, counted and logged', async (...[, reason, method, body, name, expected]) => {
    const before = await refusals(reason);
    const answer = await post(method, body, name === '' ? {} : { authorization: `Bearer ${tokens[name] ?? 'stemma_unknown'}` });
    expect(await refusals(reason)).toBe(before + 1);
    expect(JSON.parse(said.join(''))).toMatchObject({ reason, method: method === 'Reboot' ? 'none of ours' : method, origin: '127.0.0.1' });
    expect(said.join('')).not.toMatch(/stemma_|Reboot/);
    expect(answer).toMatchObject({ status: expected, body: { boundary: expect.any(String) as string, message: expect.stringMatching(/./) as string, remedy: expect.stringMatching(/./) as string } });
    expect(taken).toEqual([]);
  });

  it('says what it is to anyone', async () => {
    const openapi = await (await fetch(`${gateway.url}/openapi.json`)).json() as { paths: object };
    expect(Object.keys(openapi.paths).map((path) => path.split('/').at(-1))).toEqual(['SubmitRun', 'GetRun', 'ListRuns', 'GetSeries', 'WatchRun', 'ControlRun']);
  });

  it('what is no HTTP is refused and counted, and the gateway goes on', async () => {
    const before = await refusals('malformed');
    said.length = 0;
    await raw('\x00\x01 garbage\r\n\r\n');
    await expect.poll(() => refusals('malformed')).toBe(before + 1);
    expect(JSON.parse(said.join(''))).toMatchObject({ reason: 'malformed', origin: '127.0.0.1' });
    expect(await post('ListRuns', '', as('reader'))).toMatchObject({ status: 200 });
  });

  it.each([
    ['a header', () => 'host: x\r\n'], ['a body', () => `host: x\r\nauthorization: Bearer ${tokens['pilot'] ?? ''}\r\ncontent-length: 1000\r\n\r\n{"run":"r",`],
  ])('who sends %s a drop at a time is shut out, counted and logged', async (_, rest) => {
    const before = await refusals('slow');
    expect(await raw(`POST /stemma.v1.ControlService/ControlRun HTTP/1.1\r\n${rest()}`)).toContain('408');
    expect(await refusals('slow')).toBe(before + 1);
    expect(JSON.parse(said.join(''))).toMatchObject({ reason: 'slow', origin: '127.0.0.1' });
    expect(taken).toEqual([]);
  }, 30_000);
});

/** What comes back until the gateway closes the connection. */
function raw(text: string): Promise<string> {
  const { hostname, port } = new URL(gateway.url);
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(Number(port), hostname, () => socket.write(text));
    socket.on('data', (data) => { answer += data.toString(); }).once('close', () => resolve(answer)).once('error', reject);
  });
}
