/**
 * Dashboards and alerts against reality: a real Prometheus scrapes a real platform that runs micro with more steps, and evaluates the committed rules; then every
 * query of every dashboard and alert is asked. With micro's own steps a fast machine ends each stage between two scrapes, and what is shown of a running stage never is.
 * STEMMA_TEST_PICTURES=FOLDER also draws each dashboard from the answers into that folder.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Panel } from '@grafana/grafana-foundation-sdk/dashboard';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { GATEWAY } from '../../deploy/observability/by-step.js';
import { DASHBOARDS } from '../../deploy/observability/dashboards.js';
import { freePorts } from '../../services/runtime/free-port.js';
import { alerts, recordings, RULES } from '../support/alert-rules.js';
import { drawDashboard, type DrawnPanel } from '../support/dashboard-picture.js';
import { platformMetrics } from '../support/every-metric.js';
import { describeWithPrometheus, promtool, startPrometheus, type Prometheus, type Series } from '../support/prometheus.js';
import { cli, startUp, type Quickstart } from '../support/quickstart.js';
import { writeLongRecipe } from '../faults/harness/recipes.js';

/** Panels that show nothing of a run in which nothing goes wrong. */
const NOTHING_WRONG: { readonly [panel: string]: string } = {
  'Runs · Failed runs': 'no run failed',
  'Runs · Alerts': 'nothing fired',
  'Log · Failed calls': 'no call of the log failed',
  'Log · Failed blob calls': 'no call of the blob store failed',
  'Control plane · Failed Temporal requests': 'none failed, or a long poll ended with the server',
  'Control plane · Refused requests': 'everybody had a key',
  'Machines · GPU memory': 'computed on a CPU',
  'Machines · GPU utilisation': 'computed on a CPU',
  'Rollouts · Weights changed inside a turn': 'every stage is synchronous',
  'Control plane · Workflows failed': 'no workflow failed',
  'Control plane · Failed attempts in Temporal\'s eyes': 'no activity threw',
};
/** Of those: may happen in a healthy run too. */
const BY_CHANCE = ['Control plane · Failed Temporal requests', 'Control plane · Failed attempts in Temporal\'s eyes', 'Log · Failed calls', 'Log · Failed blob calls',
  'Control plane · Refused requests', 'Rollouts · Weights changed inside a turn'];
/** Series that alerts look for and that only trouble makes. */
const ONLY_IN_TROUBLE: { readonly [selector: string]: string } = {
  'stemma_run_failed': 'no run failed',
  'stemma_tls_certificate_not_after_timestamp_seconds': 'everything is on loopback, in plain text',
  'stemma_tls_certificate_not_before_timestamp_seconds': 'the same',
  'stemma_run_failed{boundary="trainer", code="INVALID"}': 'no step was refused',
  'stemma_run_failed{code="DIVERGED"}': 'no step diverged',
  'stemma_activity_seconds_count{outcome="DIVERGED"}': 'no step diverged',
  'stemma_run_teacher{teacher="none"}': 'every domain of the recipe has a teacher',
  'stemma_grpc_request_seconds_count{method=~"TeacherScoringService/.+", status!~"OK|CANCELLED"}': 'every request was answered',
};
/** Exported and on no dashboard, in no alert. */
const UNUSED: { readonly [metric: string]: string } = {};

interface Asked {
  readonly dashboard: string;
  readonly name: string;
  readonly panel: Panel;
  readonly queries: readonly { readonly expr: string; readonly legend: string }[];
}

const NAMES = /(?<![\w":.$])(?:(?:stemma|temporal|process|nodejs)_\w+|stemma:[\w:]+|up|ALERTS)(?![\w:(])/g;
const SELECTORS = /(?<![\w":.$])(?:(?:stemma|temporal|process|nodejs)_\w+|stemma:[\w:]+|up)(?:\{[^}]*\})?/g;

/** Curves by step ask the gateway, and are held to it by test/integration/gateway/series.test.ts. */
const panels: readonly Asked[] = DASHBOARDS.flatMap(({ dashboard }) => ((dashboard.panels ?? []) as Panel[]).filter(({ datasource }) => datasource?.uid !== GATEWAY.uid).map((panel) => {
  const title = (dashboard.title ?? '').replace('Stemma · ', '');
  const targets = (panel.targets ?? []) as unknown as { expr: string; legendFormat: string }[];
  return { dashboard: title, name: `${title} · ${panel.title}`, panel, queries: targets.map(({ expr, legendFormat }) => ({ expr, legend: legendFormat })) };
}));
const shown = panels.filter(({ panel }) => panel.type !== 'text');
/** What Grafana puts in for its variables, for a run of half a minute scraped each second. */
const bound = (expr: string): string => expr.replaceAll('$__rate_interval', '8s').replaceAll('$window', '20s').replaceAll('$run', '.+');
const whenTrue = async (look: () => Promise<boolean>): Promise<void> => {
  for (const giveUpAt = performance.now() + 240_000; !(await look());) {
    if (performance.now() > giveUpAt) throw new Error('it does not come');
    await delay(250);
  }
};
const unqualified = (name: string): string => name.replace(/_(bucket|sum|count)$/, '');

describeWithPrometheus('observability', () => {
  const directory = mkdtempSync(join(tmpdir(), 'stemma-observability-'));
  const home = join(directory, 'home');
  const recipe = writeLongRecipe(directory);
  let prometheus: Prometheus;
  let platform: Quickstart;
  let page: string;
  let from: number;
  let to: number;
  const answers = new Map<string, Series[]>();
  const ask = async (expr: string): Promise<Series[]> => {
    const known = answers.get(expr) ?? await prometheus.range(bound(expr), from, to, 1);
    answers.set(expr, known);
    return known.filter(({ values }) => values.some(([, value]) => value !== 'NaN'));
  };

  beforeAll(async () => {
    const [port] = await freePorts(1);
    const config = join(directory, 'prometheus.yaml');
    writeFileSync(config, JSON.stringify({
      global: { scrape_interval: '1s', evaluation_interval: '1s' }, rule_files: [join(RULES, 'recording.yaml'), join(RULES, 'alerts.yaml')],
      scrape_configs: [{ job_name: 'stemma', static_configs: [{ targets: [`127.0.0.1:${port}`] }] }],
    }));
    prometheus = await startPrometheus(directory, config);
    from = Date.now() / 1000;
    platform = startUp(home, [], { STEMMA_METRICS_PORT: String(port) });
    // Metrics are served before the platform is open.
    await whenTrue(async () => (await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined))?.ok === true);
    await whenTrue(async () => (await prometheus.range('up{job="stemma"} == 1', from, Date.now() / 1000, 1)).length > 0);
    from = Date.now() / 1000;
    const submitted = await cli(home, ['run', recipe.file, '--seed', '1', '--json']);
    expect(submitted.code, submitted.stderr).toBe(0);
    // Until the end of the run has been seen a few times.
    let ended: Series | undefined;
    await whenTrue(async () => {
      [ended] = await prometheus.range('stemma_run_status{status=~"finished|failed"} == 1', from, (to = Date.now() / 1000), 1);
      return (ended?.values.length ?? 0) >= 5;
    });
    expect(ended?.metric['status'], platform.stderr()).toBe('finished');
    page = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  }, 300_000);
  afterAll(async () => {
    platform?.process.kill('SIGINT');
    await platform?.ended;
    await prometheus?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  it('every panel has data, or nothing to show because nothing went wrong', async () => {
    const empty: string[] = [];
    for (const { name, queries } of shown) {
      for (const { expr } of queries) if ((await ask(expr)).length === 0) empty.push(name);
    }
    const unexpected = Object.keys(NOTHING_WRONG).filter((name) => !empty.includes(name) && !BY_CHANCE.includes(name));
    expect({ without: empty.filter((name) => !(name in NOTHING_WRONG)), unexpected }).toEqual({ without: [], unexpected: [] });
  });

  it('every alert can be judged: what it looks at is there', async () => {
    const missing: string[] = [];
    for (const { alert, expr } of [...alerts(), ...recordings().map(({ record, expr: of }) => ({ alert: record, expr: of }))]) {
      await ask(expr);
      for (const [selector] of expr.matchAll(SELECTORS)) {
        if ((await ask(selector)).length === 0 && !(selector in ONLY_IN_TROUBLE)) missing.push(`${alert}: ${selector}`);
      }
    }
    expect(missing).toEqual([]);
  });

  it('nothing fires', async () => {
    expect((await prometheus.range('ALERTS{alertstate="firing"}', from, to, 1)).map(({ metric }) => metric)).toEqual([]);
  });

  it('every metric that is used exists, and every one that exists is used or says why not', async () => {
    const queries = [...shown.flatMap((panel) => panel.queries.map(({ expr }) => expr)), ...alerts().map(({ expr }) => expr), ...recordings().map(({ expr }) => expr)];
    const used = new Set(queries.flatMap((query) => [...query.replace(/\b(?:by|on|without|group_left|group_right)\s*\([^)]*\)/g, '').matchAll(NAMES)].map(([name]) => name)));
    const recorded = new Set(recordings().map(({ record }) => record));
    const exported = new Set([...page.matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name ?? ''));
    const known = (name: string): boolean => exported.has(name) || exported.has(unqualified(name)) || recorded.has(name) || ['up', 'ALERTS'].includes(name);
    const onlyInTrouble = /^temporal_(request_failure|workflow_failed|activity_execution_failed)_total$/;
    expect([...used].filter((name) => !known(name) && !onlyInTrouble.test(name))).toEqual([]);
    const families = (await platformMetrics()).map(({ name }) => name);
    const unused = families.filter((name) => ![...used].some((use) => use === name || unqualified(use) === name) && !(name in UNUSED));
    expect(unused).toEqual([]);
    expect([...recorded].filter((name) => !used.has(name))).toEqual([]);
  });

  it('promtool check metrics has nothing to say of ours', () => {
    const { output } = promtool(['check', 'metrics'], page);
    expect(output.split('\n').filter((line) => line.startsWith('stemma_') || /error/i.test(line))).toEqual([]);
  });

  it('the series of a run are few, and none is of an episode', () => {
    const samples = page.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    const ours = samples.filter((line) => line.startsWith('stemma_'));
    const ofRun = ours.filter((line) => line.includes(`run="${recipe.run}"`));
    console.log(`series of a run: ${ofRun.length} of the run, ${ours.length - ofRun.length} of the process, ${samples.length} on the page`);
    // STAGE.STEP.ROUND.PROMPT.SAMPLE
    expect(samples.filter((line) => /"[^"]*\.\d+\.\d+\.\d+\.\d+"/.test(line))).toEqual([]);
    expect(ofRun.length).toBeGreaterThan(200);
    expect(ofRun.length).toBeLessThan(1500);
    expect(ours.length - ofRun.length).toBeLessThan(3000);
  });

  it('each dashboard can be drawn from the data', async () => {
    const folder = process.env['STEMMA_TEST_PICTURES'];
    for (const { name, dashboard } of DASHBOARDS) {
      const own = panels.filter((panel) => `Stemma · ${panel.dashboard}` === dashboard.title);
      const drawn: DrawnPanel[] = [];
      for (const { panel, queries } of own) {
        const series = [];
        for (const { expr, legend } of queries) {
          // The newest value is that of the end.
          const now = (await ask(expr)).filter(({ values }) => panel.type === 'timeseries' || (values.at(-1)?.[0] ?? 0) > to - 2);
          for (const { metric, values } of now) series.push({ name: legend.replace(/\{\{(\w+)\}\}/g, (_, label: string) => metric[label] ?? '').trim(), values });
        }
        drawn.push({ panel, series });
      }
      const caption = `From a Prometheus that scraped a run of recipes/micro.yaml with more steps each second; a model too small to learn. Drawn by Stemma's own charts: not Grafana's rendering.`;
      const picture = drawDashboard({ title: dashboard.title ?? '', caption, panels: drawn, from, to });
      expect(picture.match(/<(polyline|circle|rect class="panel")/g)?.length).toBeGreaterThanOrEqual(own.length);
      if (folder === undefined) continue;
      mkdirSync(resolve(folder), { recursive: true });
      writeFileSync(join(resolve(folder), `${name}.svg`), `${picture}\n`);
    }
  });
});
