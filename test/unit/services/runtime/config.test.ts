import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StemmaError } from '../../../../core/errors.js';
import { environmentOf, readConfig } from '../../../../services/runtime/config.js';
import { packageRoot } from '../../../../services/runtime/package-root.js';

let directory: string;
beforeEach(() => { directory = mkdtempSync(join(tmpdir(), 'stemma-config-')); });
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const toolchain = (text: string): string => {
  const file = join(directory, 'toolchain.json');
  writeFileSync(file, text);
  return file;
};

describe('readConfig', () => {
  it('has defaults for everything, frozen', () => {
    const config = readConfig({ STEMMA_TOOLCHAIN: join(directory, 'none.json') });
    expect(config).toMatchObject({
      home: join(packageRoot(), '.stemma'), logLevel: 'info', logFile: '', threads: 2, device: 'cpu',
      ports: { gateway: 0, metrics: 0, temporal: 0, temporalUi: 0 }, tools: { python: '', temporal: '', java: '', kafka: '' }, log: { kind: 'embedded' },
    });
    expect(Object.isFrozen(config) && Object.isFrozen(config.ports) && Object.isFrozen(config.tools)).toBe(true);
  });

  it('takes a profile, the environment being stronger', () => {
    const profile = join(directory, 'prod.profile');
    writeFileSync(profile, 'STEMMA_GATEWAY_ADDRESS=far:7300\nSTEMMA_GATEWAY_TOKEN_FILE="/secrets/token"\n# a comment\n');
    const none = { STEMMA_TOOLCHAIN: join(directory, 'none.json'), STEMMA_PROFILE: profile, STEMMA_INSECURE: 'gateway' };
    expect(readConfig(none)).toMatchObject({ tokenFile: '/secrets/token', addresses: { gateway: 'far:7300' } });
    expect(readConfig({ ...none, STEMMA_GATEWAY_ADDRESS: 'near:1' }).addresses.gateway).toBe('near:1');
    expect(() => readConfig({ STEMMA_PROFILE: join(directory, 'nothing') })).toThrow(/STEMMA_PROFILE: .*nothing cannot be read \(ENOENT\)/);
    writeFileSync(profile, 'STEMMA_GATEWAY=far\n');
    expect(() => readConfig(none)).toThrow(/STEMMA_GATEWAY: unknown setting/);
  });

  it('takes tools from set-up, and from the environment first', () => {
    const file = toolchain('{"python":"/py","temporal":"/te","java":"/ja","kafka":"/jars","versions":{}}');
    expect(readConfig({ STEMMA_TOOLCHAIN: file }).tools).toEqual({ python: '/py', temporal: '/te', java: '/ja', kafka: '/jars' });
    expect(readConfig({ STEMMA_TOOLCHAIN: file, STEMMA_PYTHON: '/mine' }).tools).toEqual({ python: '/mine', temporal: '/te', java: '/ja', kafka: '/jars' });
  });

  it('reads where the log is, what a command was told being stronger', () => {
    const none = { STEMMA_TOOLCHAIN: join(directory, 'none.json'), STEMMA_INSECURE: 'kafka' };
    const logOf = (environment: Record<string, string>, told?: Record<string, string>): unknown => readConfig({ ...none, ...environment }, told).log;
    const kafka = logOf({ STEMMA_LOG: 'kafka://a:9092,10.0.0.2:9093', STEMMA_KAFKA_SASL: 'scram-sha-512', STEMMA_KAFKA_USER: 'me', STEMMA_KAFKA_PASSWORD_FILE: '/secret' });
    expect(kafka).toMatchObject({ kind: 'kafka', brokers: ['a:9092', '10.0.0.2:9093'], security: { tls: false, sasl: 'scram-sha-512', user: 'me', passwordFile: '/secret' } });
    expect(logOf({ STEMMA_LOG: 'kafka://a:9092' }, { STEMMA_LOG: 'embedded' })).toEqual({ kind: 'embedded' });
    for (const wrong of ['kafka://', 'kafka://a', 'kafka://a:70000', 'kafka://a:1,', 'redis://a:1']) expect(() => logOf({ STEMMA_LOG: wrong })).toThrow('STEMMA_LOG: expected kafka://host:port');
    expect(() => logOf({ STEMMA_KAFKA_SASL: 'plain' })).toThrow('needs STEMMA_KAFKA_USER and STEMMA_KAFKA_PASSWORD_FILE');
  });

  it('reads where spans go as OpenTelemetry has it: nowhere unless told, and headers are never shown', () => {
    const tracingOf = (environment: Record<string, string>): unknown => readConfig({ STEMMA_TOOLCHAIN: join(directory, 'none.json'), ...environment }).tracing;
    const http = { protocol: 'http/protobuf', headers: {} };
    expect(tracingOf({})).toEqual({ endpoint: '', ...http });
    expect(tracingOf({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost:4318/' })).toEqual({ endpoint: 'http://localhost:4318/v1/traces', ...http });
    expect(tracingOf({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost:4318', OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://127.0.0.1/in' })).toEqual({ endpoint: 'http://127.0.0.1/in', ...http });
    expect(tracingOf({ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://c:4317', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', OTEL_EXPORTER_OTLP_HEADERS: 'X-Key=a%20b, y=1' }))
      .toEqual({ endpoint: 'https://c:4317', protocol: 'grpc', headers: { 'x-key': 'a b', y: '1' } });
    for (const [name, value] of [['OTEL_SDK_DISABLED', 'true'], ['OTEL_TRACES_EXPORTER', 'none']] as const) expect(tracingOf({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost', [name]: value })).toEqual({ endpoint: '', ...http });
    expect(() => tracingOf({ OTEL_EXPORTER_OTLP_ENDPOINT: 'c:4317' })).toThrow(/OTEL_EXPORTER_OTLP_ENDPOINT: expected http/);
    expect(() => tracingOf({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost', OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' })).toThrow(/expected one of grpc, http.protobuf/);
    const wrong = (): unknown => tracingOf({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost', OTEL_EXPORTER_OTLP_HEADERS: 'hunter2' });
    expect(wrong).toThrow(/OTEL_EXPORTER_OTLP_HEADERS: expected name=value/);
    expect(wrong).not.toThrow(/hunter2/);
    const told = readConfig({ STEMMA_TOOLCHAIN: join(directory, 'none.json'), OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost', OTEL_EXPORTER_OTLP_HEADERS: 'x-key=a%20b' });
    expect(readConfig(environmentOf(told)).tracing).toEqual(told.tracing);
  });

  it.each([['STEMMA_LOG', 'kafka://me:hunter/2@a@10.0.0.1:9092'], ['STEMMA_LOG', 'kafka://b:1,me:hunter2@c:1'], ['STEMMA_GATEWAY_ADDRESS', 'me:hunter2@a:1'], ['STEMMA_GATEWAY_ADDRESS', 'https://me:hunter2@a'], ['STEMMA_OIDC_ISSUER', 'http://me:hunter2@a'], ['STEMMA_BLOBS', 's3://me:hunter2@bucket'], ['STEMMA_BLOBS', 's3://bucket?endpoint=http://me:hunter2@a:1'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'me:hunter2@c:4317']])('refuses a password in %s without saying it (%s)', (name, value) => {
    const read = (): unknown => readConfig({ STEMMA_TOOLCHAIN: join(directory, 'none.json'), [name]: value });
    expect(read).toThrow(name);
    expect(read).not.toThrow(/hunter/);
  });

  it('reads relative paths from the package root, wherever it is started', () => {
    expect(readConfig({ STEMMA_HOME: 'elsewhere' }).home).toBe(join(packageRoot(), 'elsewhere'));
  });

  it('reports every problem at once', () => {
    const broken = { STEMMA_METRICS_PORT: '70000', STEMMA_THREADS: '0', STEMMA_LOG_LEVEL: 'loud', STEMMA_COLOUR: 'blue', STEMMA_TOOLCHAIN: toolchain('{') };
    try {
      readConfig(broken);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ boundary: 'setup', code: 'INVALID' });
      const { message } = error as StemmaError;
      expect(message.split('\n')).toHaveLength(6);
      for (const part of ['STEMMA_METRICS_PORT', 'STEMMA_THREADS', 'STEMMA_LOG_LEVEL', 'STEMMA_COLOUR', 'not JSON']) expect(message).toContain(part);
    }
  });

  it('refuses whatever would leave this machine in plain text, each by its word', () => {
    const none = { STEMMA_TOOLCHAIN: join(directory, 'none.json') };
    const outside = {
      STEMMA_LISTEN_HOST: '0.0.0.0', STEMMA_GATEWAY_ADDRESS: 'g:1', STEMMA_SCORING_ADDRESS: '10.0.0.1:1', STEMMA_SIDECAR_ADDRESS: 's:1', STEMMA_TEMPORAL_ADDRESS: 't:1',
      STEMMA_LOG: 'kafka://127.0.0.1:1,k:1', STEMMA_BLOBS: 's3://bucket?endpoint=http://minio:9000', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318',
    };
    const words = (environment: Record<string, string>): string[] => {
      try {
        readConfig({ ...none, ...environment });
        return [];
      } catch (error) {
        return [...(error as StemmaError).message.matchAll(/STEMMA_INSECURE=(\w+)/g)].map(([, word]) => word ?? '').sort();
      }
    };
    const ALL = ['blobs', 'gateway', 'kafka', 'listen', 'scoring', 'sidecar', 'temporal', 'traces'];
    expect(words(outside)).toEqual(ALL);
    expect(words({ ...outside, STEMMA_INSECURE: 'kafka,listen' })).toEqual(ALL.filter((word) => word !== 'kafka' && word !== 'listen'));
    expect(words({ ...outside, STEMMA_TLS_CERT_FILE: 'c', STEMMA_TLS_KEY_FILE: 'k', STEMMA_TLS_CA_FILE: 'a', STEMMA_TEMPORAL_TLS: 'on', STEMMA_KAFKA_TLS: 'on', STEMMA_BLOBS: 's3://bucket', OTEL_EXPORTER_OTLP_ENDPOINT: 'https://collector:4318' })).toEqual([]);
    expect(words({ STEMMA_LISTEN_HOST: '::1', STEMMA_GATEWAY_ADDRESS: 'localhost:1', STEMMA_TEMPORAL_ADDRESS: '127.0.0.1:1', STEMMA_LOG: 'kafka://127.9.9.9:1', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost:4318' })).toEqual([]);
    expect(() => readConfig({ ...none, STEMMA_INSECURE: 'everything' })).toThrow('expected words of listen, gateway');
  });

  it('takes certificates and an issuer whole or not at all', () => {
    const none = { STEMMA_TOOLCHAIN: join(directory, 'none.json') };
    const oidc = { STEMMA_OIDC_ISSUER: 'https://id.example/', STEMMA_OIDC_AUDIENCE: 'stemma', STEMMA_OIDC_SCOPES: '{"trainers":["read","submit"]}' };
    expect(readConfig({ ...none, ...oidc, STEMMA_TLS_CA_FILE: 'system' })).toMatchObject({
      oidc: { issuer: 'https://id.example/', audience: 'stemma', claim: 'groups', scopes: { trainers: ['read', 'submit'] } }, tls: { certFile: '', caFile: 'system' },
    });
    expect(() => readConfig({ ...none, STEMMA_TLS_CERT_FILE: 'c' })).toThrow(/one without the other[\s\S]*STEMMA_TLS_CA_FILE: missing/);
    for (const [wrong, says] of [
      [{ STEMMA_OIDC_ISSUER: 'http://id.example' }, 'expected https'], [{ STEMMA_OIDC_ISSUER: 'id' }, 'expected https'], [{ STEMMA_OIDC_AUDIENCE: '' }, 'STEMMA_OIDC_AUDIENCE: missing'],
      [{ STEMMA_OIDC_SCOPES: '' }, 'STEMMA_OIDC_SCOPES: missing'], [{ STEMMA_OIDC_SCOPES: '{"a":["root"]}' }, 'with scopes read'], [{ STEMMA_OIDC_SCOPES: '[' }, 'expected JSON'], [{ STEMMA_OIDC_ISSUER: '' }, 'missing beside other'],
    ] as const) expect(() => readConfig({ ...none, ...oidc, ...wrong }), says).toThrow(says);
  });

  it('leaves other programs\' and tests\' variables alone', () => {
    expect(() => readConfig({ PATH: '/bin', STEMMA_TEST_ANYTHING: '1' })).not.toThrow();
  });
});
