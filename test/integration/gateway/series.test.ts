/** Curves by step from a real gateway on both transports, of a run that an earlier version wrote: exactly what its log folds to. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Panel } from '@grafana/grafana-foundation-sdk/dashboard';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GATEWAY, RUN_BY_STEP, type GatewayQuery } from '../../../deploy/observability/by-step.js';
import { DASHBOARDS } from '../../../deploy/observability/dashboards.js';
import { committedSteps } from '../../../core/projection/curves.js';
import { runViewOf } from '../../../core/projection/run-view.js';
import { ControlServiceClient, type FigurePoint } from '../../../proto/gen/stemma/v1/control.js';
import { bearer } from '../../../services/gateway/client.js';
import { openGateway, type OpenGateway } from '../../../services/gateway/open-gateway.js';
import { openKeyring } from '../../../services/runtime/access/keyring.js';
import { addKey, keysFileOrNew, writeKeysFile } from '../../../services/runtime/access/keys-file.js';
import { readConfig } from '../../../services/runtime/config.js';
import { PLAIN_CHANNEL, callUnary } from '../../../services/runtime/grpc.js';
import { committedRun, memoryLogs } from '../../support/committed-run.js';

const home = mkdtempSync(join(tmpdir(), 'stemma-series-'));
const config = readConfig({ STEMMA_HOME: home, STEMMA_TOOLCHAIN: join(home, 'none') });
const logger = pino({ level: 'silent' });
const committed = committedRun('v1');
const view = runViewOf(committed.events());
const run = view.run.created?.run ?? '';

let gateway: OpenGateway;
let client: ControlServiceClient;
let token = '';

beforeAll(async () => {
  const added = addKey(keysFileOrNew(config.keysFile), { name: 'reader', scopes: ['read'] });
  writeKeysFile(config.keysFile, added.file);
  token = added.token;
  const never = (): never => { throw new Error('nobody steers here'); };
  gateway = await openGateway({ config, tls: null, logger, registry: new Registry(), logs: memoryLogs(run, committed.events()), blobs: committed.blobs, keyring: openKeyring(config.keysFile, logger) }, { submit: never, control: never });
  client = new ControlServiceClient(gateway.address, PLAIN_CHANNEL.credentials, PLAIN_CHANNEL.options);
});
afterAll(async () => {
  client.close();
  await gateway.close();
  rmSync(home, { recursive: true, force: true });
});

const ask = async (stage = '', figures: string[] = []): Promise<FigurePoint[]> =>
  (await callUnary(client.getSeries.bind(client), { run, stage, figures }, { boundary: 'gateway', timeoutMs: 20_000, metadata: bearer(token) })).points;

async function post(body: object, authorization = `Bearer ${token}`): Promise<{ readonly status: number; readonly body: unknown }> {
  const response = await fetch(`${gateway.url}/stemma.v1.ControlService/GetSeries`, { method: 'POST', body: JSON.stringify(body), headers: { authorization } });
  return { status: response.status, body: await response.json() };
}

describe('GetSeries', () => {
  it('has every figure of every committed step, by stage and step', async () => {
    const points = await ask();
    const recorded = [...view.stages].flatMap(([stage, facts]) => committedSteps(facts).flatMap(({ step, stats }) => stats.map(({ name, sum, count }) => ({ stage, step, figure: name, sum, count }))));
    expect(recorded.length).toBeGreaterThan(100);
    expect(points.map(({ stage, step, figure, sum, count }) => ({ stage, step, figure, sum, count }))).toEqual(recorded);
    for (const { sum, count, mean } of points) expect(mean).toBe(count === 0 ? undefined : sum / count);
  });

  it('of one stage and one figure, its domains included', async () => {
    const points = await ask('distill', ['coverage']);
    expect(new Set(points.map(({ figure }) => figure))).toEqual(new Set(['coverage', 'coverage.search', 'coverage.science', 'coverage.instruction', 'coverage.tools']));
    expect(new Set(points.map(({ stage, kind }) => `${stage} ${kind}`))).toEqual(new Set(['distill distill']));
  });

  it('says the same over HTTP', async () => {
    const { status, body } = await post({ run, stage: 'distill', figures: ['loss'] });
    expect(status).toBe(200);
    expect((body as { points: object[] }).points).toEqual((await ask('distill', ['loss'])).map((point) => ({ ...point })));
  });

  it('answers each panel by step of the dashboards, as Grafana\'s plugin Infinity asks it: the request, rows at the root, every column in them', async () => {
    const queries = DASHBOARDS.flatMap(({ dashboard }) => (dashboard.panels ?? []) as Panel[]).filter(({ datasource }) => datasource?.uid === GATEWAY.uid)
      .flatMap(({ title, targets }) => (targets as unknown as GatewayQuery[]).map((query) => ({ title, query })));
    expect(queries.length).toBeGreaterThanOrEqual(6);
    for (const { title, query } of queries) {
      const { method, data, body_content_type: type } = query.url_options;
      // Grafana puts the variable's value in.
      const response = await fetch(`${gateway.url}${query.url}`, { method, body: data.replaceAll(`\${${RUN_BY_STEP}}`, run), headers: { authorization: `Bearer ${token}`, 'content-type': type } });
      const rows = ((await response.json()) as Record<string, Record<string, unknown>[]>)[query.root_selector] ?? [];
      expect(rows.length, title).toBeGreaterThan(0);
      for (const row of rows) expect(query.columns.map(({ selector, type: kind }) => [selector, typeof row[selector], kind]).filter(([, is, says]) => is !== says), title).toEqual([]);
    }
  });

  it('asks for a key that may read, and for fields that it knows', async () => {
    expect((await post({ run }, '')).status).toBe(401);
    expect(await post({ run, figure: 'loss' })).toMatchObject({ status: 400, body: { code: 'INVALID', message: 'unknown: figure' } });
  });
});
