/** A real platform under attack, as `stemma up` opens it: its gateway over gRPC and over HTTP/JSON, with keys and without; its teacher scoring. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import {
  ControlRunRequest, ControlServiceClient, GetRunRequest, ListRunsRequest, ScoreEpisodesRequest, SubmitRunRequest, TeacherScoringServiceClient, WatchRunRequest,
} from '../../proto/gen/stemma/v1/control.js';
import { openDirectoryBlobs } from '../../services/adapters/blob/directory.js';
import { openEmbeddedLogs } from '../../services/adapters/log/embedded.js';
import { bearer } from '../../services/gateway/client.js';
import { addKey, keysFileOrNew, writeKeysFile } from '../../services/runtime/access/keys-file.js';
import { findDoor, type Door } from '../../services/runtime/door-file.js';
import { freePorts } from '../../services/runtime/free-port.js';
import { PLAIN_CHANNEL, callUnary } from '../../services/runtime/grpc.js';
import { committedRun } from '../support/committed-run.js';
import { newHome } from '../support/homes.js';
import { startUp, type Quickstart } from '../support/quickstart.js';
import type { Dice } from '../support/random.js';
import { expectSound } from './harness/expect-sound.js';
import { SECONDS, type Attempt } from './harness/fuzz.js';
import { GrpcWire } from './harness/grpc-call.js';
import { encoder, grpcAttempt, rawAnswer, short, type FuzzedMethod } from './harness/grpc-target.js';
import { chance, hostileString, mutated, pick } from './harness/hostile.js';
import { rawHttp1, sendRaw } from './harness/raw.js';

const TIMEOUT_MS = (SECONDS + 240) * 1000;
const CALL = { boundary: 'gateway', timeoutMs: 20_000 } as const;
/** A key may ask 100 times a second: so many, that nobody waits for that. */
const MOST_KEYS = 30;

const home = newHome();
const tokens = { admin: [] as string[], own: '', reader: '', late: '', stranger: `stemma_${'x'.repeat(43)}` };
let up: Quickstart;
let door: Door;
let scoring: string;
let run: string;
let episodes: string[];

beforeAll(async () => {
  await writeCommittedRun();
  const [port] = (await freePorts(1)) as [number];
  scoring = `127.0.0.1:${port}`;
  const keysFile = join(home, 'gateway-keys.json');
  const key = (name: string, scopes: Parameters<typeof addKey>[1]['scopes'], expiresAt?: string): string => {
    const { file, token } = addKey(keysFileOrNew(keysFile), { name, scopes, ...(expiresAt !== undefined && { expiresAt }) });
    writeKeysFile(keysFile, file);
    return token;
  };
  tokens.admin = Array.from({ length: MOST_KEYS }, (_, at) => key(`admin-${at}`, ['admin']));
  tokens.own = key('own', ['admin']);
  tokens.reader = key('reader', ['read']);
  tokens.late = key('late', ['admin'], '2020-01-01T00:00:00Z');
  up = startUp(home, [], { STEMMA_SCORING_PORT: String(port), STEMMA_LOG_FILE: join(home, 'stemma.jsonl') });
  door = await doorOf(up);
}, 300_000);
afterAll(async () => {
  up.process.kill('SIGTERM');
  await up.ended;
}, 60_000);

async function writeCommittedRun(): Promise<void> {
  const { events, blobs } = committedRun('v1');
  const stored = events().map(({ event }) => event);
  run = stored.flatMap(({ payload }) => (payload?.$case === 'runCreated' ? [payload.value.run] : []))[0]!;
  episodes = [...new Set(stored.map(({ stream }) => stream).filter((stream) => stream.startsWith('episode/')).map((stream) => stream.split('/')[2]!))];
  const logs = await openEmbeddedLogs(join(home, 'log'));
  const log = await logs.open(run, 'write');
  await log.append(stored);
  await logs.close();
  const store = await openDirectoryBlobs(join(home, 'blobs'));
  for (const bytes of blobs.contents.values()) await store.put(bytes);
}

async function doorOf({ ended, stderr }: Quickstart): Promise<Door> {
  const gone = ended.then(() => { throw new Error(`the platform ended: ${stderr()}`); });
  for (;;) {
    const found = await Promise.race([findDoor(home), gone]);
    if (found !== undefined) return found;
    await Promise.race([new Promise((resolve) => setTimeout(resolve, 200)), gone]);
  }
}

/** Who asks, and whether nobody may be let in as that. */
function caller(dice: Dice): { readonly authorization: string | undefined; readonly mustFail: boolean } {
  switch (dice() % 12) {
    case 0: return { authorization: undefined, mustFail: true };
    case 1: return { authorization: `Bearer ${tokens.stranger}`, mustFail: true };
    case 2: return { authorization: `Bearer ${tokens.late}`, mustFail: true };
    case 3: return { authorization: pick(dice, ['', 'Bearer', 'Basic eDp4', `Bearer ${'y'.repeat(5000)}`, `bearer  ${tokens.stranger}`, 'Bearer a b', `Token ${tokens.admin[0]!}`]), mustFail: true };
    case 4: return { authorization: `Bearer ${tokens.reader}`, mustFail: false };
    default: return { authorization: `Bearer ${pick(dice, tokens.admin)}`, mustFail: false };
  }
}

const FORK = { parent: 'nothing', stage: 'sft', step: 1, settings: [{ path: 'optimizer.learningRate', valueJson: '0.1' }] };
// No recipe there is: a run that trained would be another test.
const submit = (dice: Dice): object => ({ recipe: pick(dice, ['no-such-recipe', '../../etc/passwd', '/dev/zero', '/etc/passwd', '/proc/self/environ']), seed: 1n, requestId: `fuzz-${dice() % 20}`, ...(chance(dice, 0.3) && { fork: FORK }) });
const control = (dice: Dice): object => ({ run: pick(dice, [run, 'nothing']), updateId: `u${dice() % 9}`, action: pick(dice, ['pause', 'resume', 'stop', 'amend']), stage: 'sft', path: 'optimizer.learningRate', valueJson: '0.1' });
const METHODS: readonly (FuzzedMethod & { readonly toJSON: (message: object) => unknown })[] = [
  { path: '/stemma.v1.ControlService/SubmitRun', encode: encoder(SubmitRunRequest), base: submit, toJSON: (m) => SubmitRunRequest.toJSON(SubmitRunRequest.fromPartial(m)) },
  { path: '/stemma.v1.ControlService/GetRun', encode: encoder(GetRunRequest), base: () => ({ run }), toJSON: (m) => m },
  { path: '/stemma.v1.ControlService/ListRuns', encode: encoder(ListRunsRequest), base: () => ({}), toJSON: (m) => m },
  { path: '/stemma.v1.ControlService/WatchRun', encode: encoder(WatchRunRequest), base: (dice) => ({ run, cursor: chance(dice, 0.5) ? '' : hostileString(dice) }), toJSON: (m) => m, openMs: 300 },
  { path: '/stemma.v1.ControlService/ControlRun', encode: encoder(ControlRunRequest), base: control, toJSON: (m) => m },
];

/** HTTP/1 by hand: JSON with fields changed, JSON broken, and what is no HTTP. */
async function httpAttempt(dice: Dice): Promise<Attempt> {
  const address = new URL(door.http).host;
  const method = pick(dice, METHODS);
  if (chance(dice, 0.2)) {
    const bytes = rawHttp1(dice, method.path, pick(dice, tokens.admin));
    return { about: `raw ${Buffer.from(bytes.subarray(0, 80)).toString('latin1')}`, answer: rawAnswer(await sendRaw(address, bytes, 400)) };
  }
  const { authorization, mustFail } = caller(dice);
  const json = JSON.stringify(mutated(dice, method.toJSON(await method.base(dice) as object))) ?? '';
  const body = chance(dice, 0.6) ? json : pick(dice, [json.slice(0, dice() % (json.length + 1)), `[${json}]`, hostileString(dice), `{"__proto__":{"run":"x"},"run":${JSON.stringify(hostileString(dice))}}`, `{"run":${pick(dice, ['1e999', '-1', '12345678901234567890123', 'null', '{}', '[]', 'true'])}}`,
    `{"seed":${pick(dice, ['-1', '1.5', '"x"', '1e400', '"99999999999999999999"', '{}', 'null'])},"recipe":"no-such-recipe"}`]);
  const lines = [`POST ${method.path} HTTP/1.1`, 'host: x', 'connection: close', ...(authorization === undefined ? [] : [`authorization: ${authorization}`]), 'content-type: application/json', `content-length: ${Buffer.byteLength(body)}`];
  const text = await sendRaw(address, Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`), method.openMs ?? 15_000);
  const status = /^HTTP\/1\.1 (\d{3})/.exec(text)?.[1];
  return {
    about: `${method.path.split('/').at(-1)} ${short(body)}`, mustFail,
    answer: { grpcStatus: null, httpStatus: status === undefined ? null : Number(status), text, how: 'ended', bytes: text.length },
  };
}

describe('the platform under attack', () => {
  const pid = (): number => up.pid();
  const secrets = (): string[] => [...tokens.admin, tokens.own, tokens.reader, tokens.late, home, homedir(), process.cwd()];

  it('gateway over gRPC', async () => {
    const wire = new GrpcWire(door.gateway);
    const client = new ControlServiceClient(door.gateway, PLAIN_CHANNEL.credentials, PLAIN_CHANNEL.options);
    const headers = (dice: Dice) => {
      const { authorization, mustFail } = caller(dice);
      return { mustFail, headers: authorization === undefined ? {} : { authorization } };
    };
    await expectSound({
      name: 'gateway-grpc', pid, growthMiB: 250, secrets: secrets(), release: () => wire.close(),
      attempt: (dice) => grpcAttempt({ wire, address: door.gateway, methods: METHODS, headers }, dice),
      async good() { await callUnary(client.getRun.bind(client), { run }, { ...CALL, metadata: bearer(tokens.own) }); },
    });
    client.close();
  }, TIMEOUT_MS);

  it('gateway over HTTP/JSON', async () => {
    await expectSound({
      name: 'gateway-http', pid, growthMiB: 250, secrets: secrets(), release: () => undefined, attempt: httpAttempt,
      async good() {
        const answer = await fetch(`${door.http}/stemma.v1.ControlService/GetRun`, { method: 'POST', headers: { authorization: `Bearer ${tokens.own}`, connection: 'close' }, body: JSON.stringify({ run }) });
        if (answer.status !== 200) throw new Error(`${answer.status} ${await answer.text()}`);
        await answer.arrayBuffer();
      },
    });
  }, TIMEOUT_MS);

  it('teacher scoring', async () => {
    const wire = new GrpcWire(scoring);
    const client = new TeacherScoringServiceClient(scoring, PLAIN_CHANNEL.credentials, PLAIN_CHANNEL.options);
    const stage = 'distill';
    const score: FuzzedMethod = {
      path: '/stemma.v1.TeacherScoringService/ScoreEpisodes', encode: encoder(ScoreEpisodesRequest),
      base: (dice) => ({ run: chance(dice, 0.7) ? run : `nothing-${dice() % 50}`, stage, purpose: pick(dice, ['teacher', 'reference']), episodes: [pick(dice, episodes), pick(dice, episodes)], step: dice() % 4, part: dice() % 2, parts: dice() % 3 }),
    };
    await expectSound({
      name: 'teacher-scoring', pid, growthMiB: 250, secrets: secrets(), release: () => wire.close(),
      attempt: (dice) => grpcAttempt({ wire, address: scoring, methods: [score] }, dice),
      async good() { await callUnary(client.scoreEpisodes.bind(client), { run, stage, purpose: 'teacher', episodes: [], step: 0, part: 0, parts: 1 }, { ...CALL, boundary: 'scorer' }); },
    });
    client.close();
  }, TIMEOUT_MS);
});
