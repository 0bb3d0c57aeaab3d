/**
 * Known secrets in every place that takes one, and in requests and settings where they do not belong; then a real run, and a search for them
 * in everything that it leaves and says. The run's name is what the same search must find in each of those places: a search that finds nothing proves nothing.
 */
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { Client, Connection } from '@temporalio/client';
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readRun } from '../../services/cli/run-reader.js';
import { writeReport } from '../../services/report/write-report.js';
import { readConfig } from '../../services/runtime/config.js';
import { findDoor, type Door } from '../../services/runtime/door-file.js';
import { openBlobs } from '../../services/runtime/open-blobs.js';
import { openLogs } from '../../services/runtime/open-logs.js';
import { GrpcWire } from '../fuzz/harness/grpc-call.js';
import { BY_DESIGN, newSecret, plantSecrets, type Planted } from '../support/planted-secrets.js';
import { cli, startUp, type Quickstart } from '../support/quickstart.js';
import { findSecrets, findSecretsBelow, type Find } from '../support/secret-search.js';

const RUN = 'told-of-everywhere-1';
const SERVICE = '/stemma.v1.ControlService';

/** Names that a caller made up, which the answer to that caller says back: a misspelt field is found that way. */
const OWN_WORDS = ['key as a field', 'key as a method over gRPC'];

let planted: Planted;
let platform: Quickstart;
let door: Door;
/** What was said or left, by place. */
const texts = new Map<string, string[]>();
const keep = (place: string, ...said: string[]): void => void texts.set(place, [...(texts.get(place) ?? []), ...said]);

const stemma = async (args: readonly string[], settings: Readonly<Record<string, string>> = {}, home = planted.home) => {
  const result = await cli(home, args, { ...planted.settings, STEMMA_LOG_FILE: '', ...settings });
  return { ...result, output: result.stdout + result.stderr };
};

beforeAll(async () => {
  planted = await plantSecrets();
  const { home, vault, secrets, settings } = planted;
  platform = startUp(home, ['--verbose'], settings);
  await vi.waitFor(async () => expect(door = (await findDoor(home))!, platform.stderr()).toBeDefined(), { timeout: 180_000, interval: 200 });
  secrets['key of ana'] = (await stemma(['keys', 'add', 'ana', '--scopes', 'read,submit,control', '--expires-in', '1d'])).stdout.trim();
  writeFileSync(join(vault, 'ana.token'), secrets['key of ana']);
  await steer();
  await knockWithSecrets();
  const watched = await stemma(['watch', RUN]);
  expect(watched.code, watched.output + platform.stderr()).toBe(0);
  keep('output of commands', watched.output, (await stemma(['status', RUN])).output, (await stemma(['--verbose', 'verify', RUN])).output, (await stemma(['lineage', `${RUN}`])).output);
  await collect();
  platform.process.kill('SIGINT');
  const ended = await platform.ended;
  keep('output of the platform', ended.stdout + ended.stderr);
  await collectAfterwards();
}, 600_000);
afterAll(async () => {
  platform?.process.kill('SIGKILL');
  await planted?.close();
});

function ask(method: string, body: string | object, headers: Record<string, string> = {}, path = `${SERVICE}/${method}`): Promise<string> {
  const { tls } = planted;
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const request = httpsRequest(`${door.http}${path}`, { method: 'POST', agent: false, ca: readFileSync(tls.caFile), headers: { 'content-length': Buffer.byteLength(text), ...headers } }, (response) => {
      let answer = `${response.statusCode}\n${JSON.stringify(response.headers)}\n`;
      response.on('data', (part: Buffer) => { answer += part.toString(); });
      response.once('close', () => resolve(answer));
      if (method === 'WatchRun') setTimeout(() => response.destroy(), 3000);
    }).once('error', reject);
    request.end(text);
  });
}

/** Submitted with a token of the issuer; amended, paused and resumed with a key, from a profile. */
async function steer(): Promise<void> {
  const { issuer, secrets, vault, tls } = planted;
  const token = await issuer.sign();
  Object.assign(secrets, { 'token of the issuer': token, 'signature of the issuer': token.split('.')[2] });
  const authorization = `Bearer ${token}`;
  keep('answers of the gateway', await ask('SubmitRun', { recipe: 'micro', seed: '1', requestId: RUN }, { authorization }));
  const profile = join(vault, 'ana.profile');
  writeFileSync(profile, `STEMMA_GATEWAY_ADDRESS=${door.gateway}\nSTEMMA_GATEWAY_TOKEN_FILE=${join(vault, 'ana.token')}\nSTEMMA_TLS_CA_FILE=${tls.caFile}\n`);
  for (const [command, ...args] of [['amend', RUN, 'distill', 'optimizer.learningRate', '0.0002'], ['pause', RUN], ['resume', RUN]] as const) {
    const { code, output } = await vi.waitFor(async () => {
      const said = await stemma(['--profile', profile, command!, ...args]);
      expect(said.code, said.output).toBe(0);
      return said;
    }, { timeout: 60_000, interval: 500 });
    expect(code).toBe(0);
    keep('output of commands', output);
  }
}

/** Secrets where nobody looks for them, in requests that are refused. */
async function knockWithSecrets(): Promise<void> {
  const { secrets, tls } = planted;
  const wrong = (what: string): string => (secrets[what] = newSecret(what.replaceAll(' ', '-')));
  const key = { authorization: `Bearer ${secrets['key of ana']}` };
  const refused = [
    await ask('ListRuns', '', { authorization: `Bearer ${wrong('unknown key')}` }), await ask('ListRuns', '', { authorization: `Basic ${Buffer.from(`ana:${wrong('password')}`).toString('base64')}` }),
    await ask('ListRuns', '', { 'x-api-key': wrong('key in another header') }), await ask('ListRuns', '', { cookie: `session=${wrong('cookie')}` }),
    await ask('ListRuns', '', {}, `${SERVICE}/ListRuns?access_token=${wrong('key in a query')}`), await ask('ListRuns', '', {}, `/${wrong('key in a path')}`),
    await ask('ListRuns', '', key, `/${wrong('key in a path of a known caller')}`), await ask('ListRuns', '', key, `${SERVICE}/${wrong('key as a method')}`),
    await ask('GetRun', `{"token":"${wrong('key in broken JSON')}"`, key), await ask('GetRun', { run: RUN, token: wrong('key in an unknown field') }, key),
    await ask('GetRun', { run: RUN, [wrong('key as a field')]: 1 }, key), await ask('GetRun', { run: { token: wrong('key in a malformed field') } }, key),
  ];
  for (const answer of refused) expect(answer).toMatch(/^4\d\d/);
  keep('answers of the gateway', ...refused, await say(`\x00 ${wrong('key in what is no HTTP')}\r\n\r\n`));
  const wire = new GrpcWire(`https://${door.gateway}`, { ca: readFileSync(tls.caFile) });
  const grpc = (headers: Record<string, string>, method = 'ListRuns', body = Buffer.alloc(5)) => wire.call({ path: `${SERVICE}/${method}`, body, headers, patienceMs: 10_000 });
  for (const answer of [
    await grpc({ authorization: `Bearer ${wrong('unknown key over gRPC')}` }), await grpc({ 'x-token': wrong('key in other metadata') }), await grpc(key, wrong('key as a method over gRPC')),
    await grpc(key, 'GetRun', Buffer.from(wrong('key in a malformed message'))),
  ]) {
    expect(answer.grpcStatus).not.toBe(0);
    keep('answers of the gateway', answer.text);
  }
  wire.close();
}

/** Over TLS, what comes back until the gateway hangs up. */
function say(bytes: string): Promise<string> {
  const { hostname, port } = new URL(door.http);
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connectTls({ host: hostname, port: Number(port), ca: readFileSync(planted.tls.caFile) }, () => socket.write(bytes));
    socket.on('data', (part) => { answer += part.toString(); }).once('close', () => resolve(answer)).once('error', reject);
  });
}

/** While it is up. */
async function collect(): Promise<void> {
  const { ports, secrets, tls } = planted;
  const key = { authorization: `Bearer ${secrets['key of ana']}` };
  for (const method of ['GetRun', 'GetSeries', 'WatchRun']) keep('answers of the gateway', await ask(method, { run: RUN }, key));
  keep('answers of the gateway', await ask('ListRuns', {}, key));
  const identity = { cert: readFileSync(tls.certFile), key: readFileSync(tls.keyFile), ca: readFileSync(tls.caFile), checkServerIdentity: () => undefined };
  const scrape = (): Promise<string> => new Promise((resolve, reject) => {
    httpsRequest(`https://127.0.0.1:${ports.metrics}/metrics`, { agent: false, ...identity }, (response) => {
      let page = '';
      response.on('data', (part: Buffer) => { page += part.toString(); }).once('end', () => resolve(page));
    }).once('error', reject).end();
  });
  // The first scrape makes the process look at its runs.
  keep('metrics', await vi.waitFor(async () => {
    const page = await scrape();
    expect(page).toContain(RUN);
    return page;
  }, { timeout: 60_000, interval: 500 }));
  const connection = await Connection.connect({ address: `127.0.0.1:${ports.temporal}` });
  const client = new Client({ connection });
  for await (const { workflowId, runId } of client.workflow.list()) {
    const handle = client.workflow.getHandle(workflowId, runId);
    keep('Temporal histories', readable(await handle.fetchHistory()), readable(await handle.describe()));
  }
  await connection.close();
}

/** Bytes as the text that they are. */
function readable(value: object): string {
  return JSON.stringify(value, function (this: Record<string, unknown>, key, given: unknown) {
    const raw = this[key];
    if (raw instanceof Uint8Array) return Buffer.from(raw).toString('utf8');
    return typeof given === 'bigint' ? String(given) : given;
  });
}

async function collectAfterwards(): Promise<void> {
  const { home, vault, settings, kafka, minio, receiver } = planted;
  keep('traces', receiver.text());
  const config = readConfig({ ...process.env, ...settings, STEMMA_HOME: home });
  const logs = await openLogs(config, undefined, 'index-of-the-test');
  const blobs = await openBlobs(config.blobs);
  try {
    const log = await logs.open(RUN, 'read');
    for await (const { events } of log.tail('', AbortSignal.timeout(20_000))) {
      keep('events', ...events.map(({ event }) => readable(event as object)));
      if (events.some(({ event }) => event.payload?.$case === 'runFinished')) break;
    }
    await log.close();
    const source = await readRun({ logs, blobs, close: () => Promise.resolve() }, RUN, 'episodes');
    keep('report', readFileSync(await writeReport(source, join(home, 'reports')), 'utf8'));
  } finally {
    await logs.close();
  }
  const exports = join(home, 'exports');
  mkdirSync(exports);
  for (const [name, ...how] of [['rows.jsonl', '--format', 'jsonl'], ['rows.parquet', '--format', 'parquet'], ['weights']] as const) {
    const { code, output } = await stemma(['export', RUN, join(exports, name!), ...how]);
    expect(code, output).toBe(0);
    keep('output of commands', output);
  }
  // Its pages are compressed.
  const rows = await parquetReadObjects({ file: await asyncBufferFromFile(join(exports, 'rows.parquet')) });
  expect(rows.length).toBeGreaterThan(0);
  keep('exports', ...filesBelow(exports));
  keep('rows of the Parquet file', ...rows.map(readable));
  if (minio) for (const { Key } of await minio.server.versions(minio.bucket)) keep('blobs', await (await minio.server.client.send(new GetObjectCommand({ Bucket: minio.bucket.bucket, Key }))).Body!.transformToString('latin1'));
  else keep('blobs', ...filesBelow(join(home, 'blobs')));
  if (kafka) keep('the broker\'s files', ...filesBelow(join(kafka.directory, 'node-0', 'data')));
  keep('log lines', readFileSync(join(home, 'lines.jsonl'), 'utf8'));
  expect(readdirSync(vault)).toContain('ana.token');
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map(({ parentPath, name }) => readFileSync(join(parentPath, name), 'latin1'));
}

const finds = (place: string, secrets: Record<string, string>): Find[] => (texts.get(place) ?? []).flatMap((text) => findSecrets(place, text, secrets));

describe('secrets', () => {
  it('as many as there are places that take one', () => {
    expect(Object.values(planted.secrets).filter((secret) => secret.length < 14)).toEqual([]);
    expect(new Set(Object.values(planted.secrets)).size).toBeGreaterThanOrEqual(planted.kafka && planted.minio ? 24 : 22);
  });

  it.each([
    ['output of the platform', 'gateway'], ['output of commands', RUN], ['log lines', 'a request was refused'], ['answers of the gateway', RUN], ['events', RUN], ['Temporal histories', RUN], ['metrics', RUN],
    ['traces', RUN], ['report', RUN], ['exports', RUN], ['rows of the Parquet file', RUN], ['blobs', 'vocab'],
  ])('none in: %s', (place, isThere) => {
    expect(finds(place, { 'what must be there': isThere })).not.toEqual([]);
    expect(finds(place, planted.secrets).filter(({ secret }) => place !== 'answers of the gateway' || !OWN_WORDS.includes(secret))).toEqual([]);
  });

  it('none in the files of the broker', ({ skip }) => {
    if (planted.kafka === undefined) return skip('no Kafka');
    expect(finds('the broker\'s files', { 'what must be there': RUN })).not.toEqual([]);
    expect(finds('the broker\'s files', planted.secrets)).toEqual([]);
  });

  it('none in the home, but in the files that are for them', () => {
    const local = { ...planted.secrets, 'own key': readFileSync(join(planted.home, 'gateway.token'), 'utf8').trim(), seal: (JSON.parse(readFileSync(join(planted.home, 'gateway-keys.json'), 'utf8')) as { seal: string }).seal };
    const { files, finds: found } = findSecretsBelow(planted.home, local, []);
    expect(files).toBeGreaterThan(8);
    expect(found.filter(({ form }) => form === 'plain').map(({ where, secret }) => [where, secret])).toEqual([['gateway-keys.json', 'seal'], ['gateway.token', 'own key']]);
    expect(found.filter(({ where }) => !BY_DESIGN.includes(where))).toEqual([]);
    expect(findSecretsBelow(planted.home, { run: RUN }, []).finds.map(({ where }) => where)).toEqual(expect.arrayContaining(['temporal.db', 'lines.jsonl']));
  });

  it('reach whom they are for', () => {
    expect(planted.receiver.requests.every(({ headers }) => headers['x-key'] === planted.secrets['otlp header'])).toBe(true);
    expect(finds('events', { ana: '"by":"ana"' })).not.toEqual([]);
  });
});

describe('a secret that was put where it does not belong is not said', () => {
  const file = (name: string, text: string): string => { writeFileSync(join(planted.vault, name), text); return join(planted.vault, name); };
  it.each<[string, (secret: string) => Readonly<Record<string, string>>]>([
    ['into the address of the log', (secret) => ({ STEMMA_LOG: `kafka://me:${secret}@127.0.0.1:1` })], ['into that of the blobs', (secret) => ({ STEMMA_BLOBS: `s3://me:${secret}@bucket` })],
    ['into that of S3', (secret) => ({ STEMMA_BLOBS: `s3://bucket/x?endpoint=http://me:${secret}@127.0.0.1:1` })], ['as a key of S3 in its address', (secret) => ({ STEMMA_BLOBS: `s3://bucket/x?secret=${secret}` })],
    ['into that of the gateway', (secret) => ({ STEMMA_GATEWAY_ADDRESS: `me:${secret}@127.0.0.1:1` })], ['into that of the issuer', (secret) => ({ STEMMA_OIDC_ISSUER: `https://me:${secret}@issuer.test` })],
    ['into that of the collector', (secret) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: `me:${secret}@collector` })], ['into headers that are none', (secret) => ({ OTEL_EXPORTER_OTLP_HEADERS: secret })],
    ['instead of the file of the Kafka password', (secret) => ({ STEMMA_LOG: 'kafka://127.0.0.1:1', STEMMA_KAFKA_SASL: 'plain', STEMMA_KAFKA_USER: 'me', STEMMA_KAFKA_PASSWORD_FILE: secret })],
    ['instead of the file of a TLS key', (secret) => ({ STEMMA_TLS_KEY_FILE: `-----BEGIN PRIVATE KEY-----\n${secret}\n-----END PRIVATE KEY-----` })],
    ['as a TLS key that is none', (secret) => ({ STEMMA_TLS_KEY_FILE: file('torn.key', `-----BEGIN PRIVATE KEY-----\n${secret}\n-----END PRIVATE KEY-----\n`) })],
    ['as a setting that there is not', (secret) => ({ STEMMA_GATEWAY_TOKEN: secret })], ['as such a setting in a profile', (secret) => ({ STEMMA_PROFILE: file('wrong.profile', `STEMMA_KAFKA_PASSWORD=${secret}\n`) })],
    ['as a hash into the file of keys', (secret) => ({ STEMMA_KEYS_FILE: file('keys.json', JSON.stringify({ seal: secret, keys: [{ name: 'ana', scopes: ['read'], sha256: secret }] })) })],
    ['as the secret key of AWS', (secret) => ({ AWS_ACCESS_KEY_ID: 'nobody', AWS_SECRET_ACCESS_KEY: secret, STEMMA_BLOBS: planted.settings['STEMMA_BLOBS'] ?? 's3://bucket/x?endpoint=http://127.0.0.1:1' })],
    ['as a password that is wrong', (secret) => ({ STEMMA_KAFKA_SASL: 'scram-sha-256', STEMMA_KAFKA_USER: 'stemma', STEMMA_KAFKA_PASSWORD_FILE: file('wrong-password', secret), STEMMA_LOG: planted.settings['STEMMA_LOG'] ?? 'kafka://127.0.0.1:1' })],
  ])('%s', async (how, settingsOf) => {
    const secret = newSecret('misplaced');
    const command = how.includes('file of keys') ? ['keys', 'list'] : ['quickstart', '--recipe', 'micro'];
    const { code, output } = await stemma(['--verbose', ...command], settingsOf(secret), join(planted.vault, 'another home'));
    expect(code, output).not.toBe(0);
    expect(output).toMatch(/^(stemma: |\s+STEMMA_|\s+OTEL_)/m);
    expect(findSecrets(how, output, { misplaced: secret })).toEqual([]);
  });
});
