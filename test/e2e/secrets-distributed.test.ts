/**
 * Known secrets where every service of distributed mode is told of them: its environment, certificates, a broker's password, keys of S3, a collector's header.
 * Then a real run, and a search for them in what each process leaves and says. What must be found in the same places shows that the search sees.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { findDoor } from '../../services/runtime/door-file.js';
import { openTls, type Tls } from '../../services/runtime/tls/tls.js';
import { askOwn } from '../../services/runtime/tls/web.js';
import { BY_DESIGN, plantSecrets, type Planted } from '../support/planted-secrets.js';
import { cli, startUp, type Quickstart } from '../support/quickstart.js';
import { describeWithKafka } from '../support/real-kafka.js';
import { findSecrets, findSecretsBelow } from '../support/secret-search.js';

const RUN = 'micro-s1-1';
const SERVICES = ['distiller', 'gateway', 'learner', 'rollout-1', 'teacher-scoring', 'worker'];

describeWithKafka('secrets in distributed mode', () => {
  let planted: Planted;
  let platform: Quickstart;
  let tls: Tls;
  let said = '';
  let metrics: string[] = [];

  beforeAll(async () => {
    planted = await plantSecrets();
    const { home, settings, secrets } = planted;
    tls = openTls(planted.tls);
    platform = startUp(home, ['--distributed', '--rollouts', '1', '--verbose'], settings);
    await Promise.race([
      vi.waitFor(async () => expect(await findDoor(home), platform.stderr()).toBeDefined(), { timeout: 240_000, interval: 500 }),
      platform.ended.then(({ code }) => { throw new Error(`the platform ended with ${code}: ${platform.stderr()}`); }),
    ]);
    secrets['own key'] = readFileSync(join(home, 'gateway.token'), 'utf8').trim();
    const own = { ...settings, STEMMA_LOG_FILE: '' };
    const ran = await cli(home, ['--verbose', 'run', 'micro', '--seed', '1'], own);
    expect(ran.code, ran.stderr + platform.stderr()).toBe(0);
    const watched = await cli(home, ['--verbose', 'watch', RUN], own);
    expect(watched.stdout, watched.stderr + platform.stderr()).toMatch(/^run micro-s1-1: finished/m);
    const verified = await cli(home, ['--verbose', 'verify', RUN], own);
    expect(verified.stdout, verified.stderr).toMatch(/^CLEAN/);
    const pages = platform.stderr().match(/https:\/\/[\d.]+:\d+\/metrics/g) ?? [];
    metrics = await Promise.all([`https://127.0.0.1:${planted.ports.metrics}/metrics`, ...pages].map(async (url) => (await askOwn(url, { tls, withinMs: 10_000 })).text));
    platform.process.kill('SIGINT');
    const ended = await platform.ended;
    said = [ran, watched, verified, ended].map(({ stdout, stderr }) => stdout + stderr).join('\n');
  }, 900_000);
  afterAll(async () => {
    platform?.process.kill('SIGKILL');
    tls?.close();
    await planted?.close();
  });

  it('none in what services leave in the home, each with its log', () => {
    const { files, finds } = findSecretsBelow(planted.home, planted.secrets, BY_DESIGN);
    expect(finds).toEqual([]);
    expect(files).toBeGreaterThan(2 * SERVICES.length);
    expect(readdirSync(join(planted.home, 'roles')).sort()).toEqual(SERVICES);
    const there = findSecretsBelow(planted.home, { run: RUN }, []).finds.map(({ where }) => where);
    expect(there).toEqual(expect.arrayContaining(['temporal.db', ...['learner', 'distiller', 'worker'].map((service) => `roles/${service}/log.jsonl`)]));
  });

  it('none in the files of the broker', () => {
    const data = join(planted.kafka!.directory, 'node-0', 'data');
    expect(findSecretsBelow(data, planted.secrets, []).finds).toEqual([]);
    expect(findSecretsBelow(data, { run: RUN }, []).finds).not.toEqual([]);
  });

  it('none in the output of the launcher and of commands, none in metrics', () => {
    expect(findSecrets('output', said, planted.secrets)).toEqual([]);
    expect(findSecrets('output', said, { run: RUN })).not.toEqual([]);
    expect(metrics).toHaveLength(SERVICES.length + 1);
    expect(metrics.flatMap((page) => findSecrets('metrics', page, planted.secrets))).toEqual([]);
    expect(metrics.every((page) => page.includes('stemma_'))).toBe(true);
  });

  it('none in traces, which several services sent with the header that is for the collector', () => {
    const { receiver, secrets } = planted;
    expect(findSecrets('traces', receiver.text(), secrets)).toEqual([]);
    expect(receiver.requests.length).toBeGreaterThan(SERVICES.length);
    expect(receiver.requests.every(({ headers }) => headers['x-key'] === secrets['otlp header'])).toBe(true);
    for (const service of ['learner', 'distiller', 'rollout']) expect(receiver.text()).toContain(service);
  });
});
