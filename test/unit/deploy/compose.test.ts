/** deploy/compose.yaml, as far as it can be checked without an engine: what it sets is known here, what it mounts exists, who is asked listens. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { readConfig } from '../../../services/runtime/config.js';
import { assertConfigured, ROLES, type Role } from '../../../services/roles/role.js';

interface Service {
  readonly image: string;
  readonly command?: readonly string[];
  readonly environment?: { readonly [name: string]: string | number };
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly depends_on?: { readonly [service: string]: { readonly condition: string } };
  readonly healthcheck?: { readonly test?: unknown; readonly disable?: boolean };
  readonly restart: string;
}

const DEPLOY = join(import.meta.dirname, '../../../deploy');
const FILE = parse(readFileSync(join(DEPLOY, 'compose.yaml'), 'utf8'), { merge: true }) as { readonly services: { readonly [name: string]: Service }; readonly volumes: object };
const SERVICES = Object.entries(FILE.services);
/** `${NAME:-value}` as without NAME. */
const filledIn = (value: string | number): string => String(value).replace(/\$\{\w+:-([^}]*)\}/g, '$1');
/** Of what is not ours, from its documentation. */
const LISTENS: { readonly [service: string]: readonly number[] } = { kafka: [9092], temporal: [7233], store: [9000], postgres: [5432], prometheus: [9090], 'temporal-ui': [8080], grafana: [3000] };

function environmentOf(service: Service): { [name: string]: string } {
  return Object.fromEntries(Object.entries(service.environment ?? {}).map(([name, value]) => [name, filledIn(value)]));
}

function portsOf(name: string): number[] {
  const environment = environmentOf(FILE.services[name] as Service);
  return [...(LISTENS[name] ?? []), ...Object.entries(environment).filter(([variable]) => /^STEMMA_.*_PORT$/.test(variable)).map(([, port]) => Number(port))];
}

test('each role is there, with settings that it accepts', () => {
  const roles = SERVICES.filter(([, { command }]) => command?.[0] === 'serve');
  expect(roles.map(([, { command }]) => command?.[1]).sort()).toEqual([...ROLES].sort());
  for (const [name, service] of roles) {
    const ours = Object.entries({ ...environmentOf(service), STEMMA_PYTHON: '/opt/venv/bin/python' }).filter(([variable]) => variable.startsWith('STEMMA_'));
    const config = readConfig(Object.fromEntries(ours));
    expect(service.command?.[1]).toBe(name);
    expect(() => assertConfigured(name as Role, config)).not.toThrow();
    expect(config).toMatchObject({ listenHost: '0.0.0.0', keysFile: '/etc/stemma/keys/keys.json', ports: { metrics: 9464 } });
  }
});

test('every STEMMA_ variable is known, but Grafana’s own', () => {
  for (const [name, service] of SERVICES.filter(([other]) => other !== 'grafana')) {
    const ours = Object.fromEntries(Object.entries(environmentOf(service)).filter(([variable]) => variable.startsWith('STEMMA_')));
    expect(() => readConfig(ours), name).not.toThrow();
  }
  const provisioning = ['dashboards/stemma.yaml', 'datasources/prometheus.yaml', 'datasources/gateway.yaml'].map((file) => readFileSync(join(DEPLOY, 'observability/grafana/provisioning', file), 'utf8')).join('\n');
  const asked = [...provisioning.matchAll(/\$\{(STEMMA_\w+)\}/g)].map(([, variable]) => variable);
  expect(Object.keys(FILE.services['grafana']?.environment ?? {})).toEqual(expect.arrayContaining(asked));
});

test('every image names a version', () => {
  for (const [name, { image }] of SERVICES) expect([name, image]).toEqual([name, expect.stringMatching(/^docker\.io\/[\w./-]+:(?!latest$)[\w.-]+$/)]);
});

test('every mounted file exists, and every named volume is declared', () => {
  const mounted = SERVICES.flatMap(([, { volumes = [] }]) => volumes.map((volume) => volume.split(':')[0] ?? ''));
  for (const source of mounted) expect([source, source.startsWith('./') ? existsSync(join(DEPLOY, source)) : source in FILE.volumes]).toEqual([source, true]);
});

test('who is asked listens there', () => {
  const asked = SERVICES.flatMap(([name, service]) => [...JSON.stringify([environmentOf(service), service.command ?? []]).matchAll(/\b([a-z][a-z-]*):(\d{4,5})\b/g)].map(([, host, port]) => ({ name, host: host ?? '', port: Number(port) })));
  const elsewhere = asked.filter(({ host, port }) => !(host in FILE.services) || !portsOf(host).includes(port));
  expect(elsewhere).toEqual([]);
  expect(asked.length).toBeGreaterThan(10);
});

test('ports of this machine are on loopback only, and go where something listens', () => {
  const published = SERVICES.flatMap(([name, { ports = [] }]) => ports.map((port) => ({ name, port })));
  for (const { name, port } of published) {
    const [, inside] = /^127\.0\.0\.1:\d+:(\d+)$/.exec(port) ?? [];
    expect([name, port, portsOf(name).includes(Number(inside))]).toEqual([name, port, true]);
  }
});

test('Prometheus asks every role for its figures', () => {
  const { scrape_configs: [job] } = parse(readFileSync(join(DEPLOY, 'observability/compose-prometheus.yaml'), 'utf8')) as { scrape_configs: [{ dns_sd_configs: [{ names: string[]; port: number }] }] };
  expect(job.dns_sd_configs[0]).toMatchObject({ names: expect.arrayContaining([...ROLES]) as string[], port: 9464 });
});

test('who is waited for says when it is ready', () => {
  for (const [name, { depends_on: needs = {} }] of SERVICES) {
    for (const [other, { condition }] of Object.entries(needs)) {
      const { healthcheck, restart } = FILE.services[other] as Service;
      if (condition === 'service_healthy') expect([name, other, healthcheck?.test]).toEqual([name, other, expect.anything()]);
      if (condition === 'service_completed_successfully') expect([name, other, restart]).toEqual([name, other, 'on-failure']);
    }
  }
});
