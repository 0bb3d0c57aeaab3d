/** Teacher scoring over mutual TLS, on real sockets: who is let in, who is not and what they are told, and certificates that change while calls go on. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StemmaError } from '../../../core/errors.js';
import { TeacherScoringServiceClient } from '../../../proto/gen/stemma/v1/control.js';
import { callUnary, PLAIN_CHANNEL, type Channel, type RunningGrpcServer } from '../../../services/runtime/grpc.js';
import { createRegistry } from '../../../services/runtime/metrics.js';
import type { TlsFiles } from '../../../services/runtime/security-settings.js';
import { channelTo, serverCredentials } from '../../../services/runtime/tls/credentials.js';
import { registerTlsMetrics } from '../../../services/runtime/tls/metrics.js';
import { lacksRole, peerGuard } from '../../../services/runtime/tls/peers.js';
import { openTls, type Tls } from '../../../services/runtime/tls/tls.js';
import { teacherScoringClient } from '../../../services/teacher-scoring/client.js';
import { serveTeacherScoring } from '../../../services/teacher-scoring/server.js';
import { authority, HERE, LONG_AGO, roleName, type Authority } from '../../support/certificates.js';

const home = mkdtempSync(join(tmpdir(), 'stemma-tls-'));
const registry = createRegistry({ processFigures: false });
const said: string[] = [];
const logger = pino({ level: 'info' }, { write: (line: string) => void said.push(line) });
/** So that calls soon go over connections made anew. */
const CONNECTION_AGE_MS = 300;

let ours: Authority;
let server: { readonly files: TlsFiles; readonly tls: Tls; readonly running: RunningGrpcServer };
let scored = 0;

beforeAll(async () => {
  ours = authority(home, 'ours');
  const files = ours.issue('teacher-scoring', { names: [...HERE, roleName('teacher-scoring')] });
  const tls = openTls(files, { logger, lacks: lacksRole('teacher-scoring'), everyMs: 20 });
  const metrics = registerTlsMetrics(registry, tls);
  const running = await serveTeacherScoring({ scoreEpisodes: async () => { scored += 1; await turn(); return []; } }, {
    port: 0, credentials: serverCredentials(tls, 'required'), interceptors: [peerGuard('teacher-scoring', { tls, metrics, logger })], maxConnectionAgeMs: CONNECTION_AGE_MS,
  });
  server = { files, tls, running };
});
afterAll(async () => {
  await server.running.close();
  server.tls.close();
  rmSync(home, { recursive: true, force: true });
});

const REQUEST = { run: 'r', stage: 's', purpose: 'teacher', episodes: [], step: 1, part: 0, parts: 0 } as const;

/** Once, without waiting for a greeting. */
async function ask({ credentials, options }: Channel): Promise<Pick<StemmaError, 'code' | 'remedy' | 'retriable'> | 'answered'> {
  const client = new TeacherScoringServiceClient(server.running.address, credentials, options);
  return callUnary(client.scoreEpisodes.bind(client), { ...REQUEST, episodes: [] }, { boundary: 'scorer', timeoutMs: 20_000 })
    .then(() => 'answered' as const, (error: unknown) => error as StemmaError).finally(() => client.close());
}

async function as(files: TlsFiles): ReturnType<typeof ask> {
  const tls = openTls(files);
  try {
    return await ask(channelTo(tls, server.running.address));
  } finally {
    tls.close();
  }
}

async function sumOf(name: string): Promise<number> {
  await registry.metrics();
  return (await registry.getSingleMetric(name)?.get())?.values.reduce((sum, { value }) => sum + value, 0) ?? Number.NaN;
}

describe('teacher scoring', () => {
  it.each(['learner', 'distiller'])('answers the %s', async (role) => {
    expect(await as(ours.issue(role, { names: [roleName(role)] }))).toBe('answered');
  });

  it.each([
    ['a rollout worker', [roleName('rollout')]], ['a learner of another house', [roleName('learner', 'elsewhere.test')]], ['a host without a role', HERE],
    ['one that only sounds like a learner', ['URI:spiffe://stemma.test/stemma/learner/x', 'DNS:learner', 'URI:https://stemma.test/stemma/learner']],
  ])('refuses %s, and counts and says it', async (_, names) => {
    const [before, refused] = [scored, await sumOf('stemma_tls_refused_peers_total')];
    expect(await as(ours.issue('peer', { names }))).toMatchObject({ code: 'FORBIDDEN' });
    expect(scored).toBe(before);
    expect(await sumOf('stemma_tls_refused_peers_total')).toBe(refused + 1);
    expect(said.at(-1)).toContain('was refused');
  });

  it('does not hear who has no certificate, an expired one, or one of another authority', async () => {
    const before = scored;
    const good = ours.issue('learner', { names: [roleName('learner')] });
    const theirs = authority(home, 'theirs').issue('learner', { names: [roleName('learner')] });
    const expired = ours.issue('learner', { names: [roleName('learner')], ...LONG_AGO });
    expect(await as({ ...good, certFile: '', keyFile: '' })).toMatchObject({ code: 'UNAVAILABLE' });
    expect(await as({ ...theirs, caFile: good.caFile })).toMatchObject({ code: 'UNAVAILABLE' });
    expect(() => openTls(expired)).toThrow(/expired at 2020-02-01/);
    expect(scored).toBe(before);
  });

  it('is not believed by who has another authority, nor under another name', async () => {
    const good = ours.issue('learner', { names: [roleName('learner')] });
    const wrongCa = openTls({ ...good, caFile: authority(home, 'other').caFile });
    const [tls, port] = [openTls(good), server.running.address.split(':')[1] ?? ''];
    const named = { ...channelTo(tls, server.running.address), credentials: channelTo(tls, `10.9.8.7:${port}`).credentials };
    for (const channel of [channelTo(wrongCa, server.running.address), named]) {
      expect(await ask(channel)).toMatchObject({ code: 'UNAVAILABLE', retriable: true, remedy: expect.stringContaining('STEMMA_TLS_CA_FILE') as string });
    }
    for (const each of [wrongCa, tls]) each.close();
  });

  it('does not hear plain text', async () => {
    expect(await ask(PLAIN_CHANNEL)).toMatchObject({ code: 'UNAVAILABLE' });
  });
});

describe('certificates that change', () => {
  it('hold for new connections, without a failed call, also when the authority changes', async () => {
    const own = ours.issue('learner', { names: [roleName('learner')] });
    const mine = openTls(own, { everyMs: 20 });
    const clients = Array.from({ length: 4 }, () => teacherScoringClient(server.running.address, (address) => channelTo(mine, address)));
    const failures: unknown[] = [];
    let ended = false;
    let calls = 0;
    const load = clients.map(async (client) => {
      while (!ended) await client.scoreEpisodes(REQUEST).then(() => { calls += 1; }, (error: unknown) => failures.push(error));
    });
    const more = async (): Promise<void> => { const seen = calls; await expect.poll(() => calls, { timeout: 60_000 }).toBeGreaterThan(seen + 50); };
    await more();
    const next = authority(home, 'next');
    const both = join(home, 'both.pem');
    writeFileSync(both, readFileSync(ours.caFile, 'utf8') + readFileSync(next.caFile, 'utf8'));
    // As an authority is replaced anywhere: first everybody believes both, then everybody has a certificate of the new one.
    for (const { files, tls } of [server, { files: own, tls: mine }]) await replaced(tls, () => ours.replace(files, { ...files, caFile: both }));
    await more();
    const renewed = [
      { ...server, names: [...HERE, roleName('teacher-scoring')] }, { files: own, tls: mine, names: [roleName('learner')] },
    ].map((each) => ({ ...each, by: { ...next.issue('renewed', { names: each.names }), caFile: both } }));
    for (const { files, tls, by } of renewed) await replaced(tls, () => ours.replace(files, by));
    await more();
    for (const { files, tls, by } of renewed) await replaced(tls, () => ours.replace(files, { ...by, caFile: next.caFile }));
    await more();
    ended = true;
    await Promise.all(load);
    for (const client of clients) client.close();
    mine.close();
    expect(failures).toEqual([]);
    // The old authority opens nothing any more.
    expect(await as({ ...ours.issue('learner', { names: [roleName('learner')] }), caFile: next.caFile })).toMatchObject({ code: 'UNAVAILABLE' });
  });

  it.each([
    ['an expired one', () => ours.issue('late', { names: [...HERE, roleName('teacher-scoring')], ...LONG_AGO }), 'expired at'],
    ['one of another role', () => ours.issue('wrong', { names: HERE }), 'does not say that it is teacher-scoring'],
    ['one without its key', () => ({ ...ours.issue('a', { names: [roleName('teacher-scoring')] }), keyFile: ours.issue('b', { names: HERE }).keyFile }), 'is not the key of'],
    ['a torn file', () => { const torn = ours.issue('torn', { names: HERE }); writeFileSync(torn.certFile, '-----BEGIN CERTIFICATE-----\nMIIB'); return torn; }, 'no certificate'],
  ])('%s is refused, said and counted, and the old ones go on', async (_, make, says) => {
    const kept = server.tls.current();
    const [refused, told] = [await sumOf('stemma_tls_refused_files_total'), said.length];
    ours.replace(server.files, make());
    await expect.poll(() => sumOf('stemma_tls_refused_files_total')).toBeGreaterThan(refused);
    expect(server.tls.current()).toBe(kept);
    expect(said.slice(told).join('')).toContain(says);
    expect(await sumOf('stemma_tls_certificate_not_after_timestamp_seconds')).toBe((kept.identity?.notAfterMs ?? 0) / 1000);
  });
});

function replaced(tls: Tls, change: () => void): Promise<void> {
  return new Promise((resolve) => {
    const before = tls.current();
    const end = tls.onChange((material) => { if (material !== before) { end(); resolve(); } });
    change();
  });
}
