import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StemmaError } from '../../../../core/errors.js';
import { readConfig } from '../../../../services/runtime/config.js';
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
    const none = { STEMMA_TOOLCHAIN: join(directory, 'none.json'), STEMMA_PROFILE: profile };
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
    const none = { STEMMA_TOOLCHAIN: join(directory, 'none.json') };
    const logOf = (environment: Record<string, string>, told?: Record<string, string>): unknown => readConfig({ ...none, ...environment }, told).log;
    const kafka = logOf({ STEMMA_LOG: 'kafka://a:9092,10.0.0.2:9093', STEMMA_KAFKA_SASL: 'scram-sha-512', STEMMA_KAFKA_USER: 'me', STEMMA_KAFKA_PASSWORD_FILE: '/secret' });
    expect(kafka).toMatchObject({ kind: 'kafka', brokers: ['a:9092', '10.0.0.2:9093'], security: { tls: false, sasl: 'scram-sha-512', user: 'me', passwordFile: '/secret' } });
    expect(logOf({ STEMMA_LOG: 'kafka://a:9092' }, { STEMMA_LOG: 'embedded' })).toEqual({ kind: 'embedded' });
    for (const wrong of ['kafka://', 'kafka://a', 'kafka://a:70000', 'kafka://a:1,', 'redis://a:1']) expect(() => logOf({ STEMMA_LOG: wrong })).toThrow('STEMMA_LOG: expected kafka://host:port');
    expect(() => logOf({ STEMMA_KAFKA_SASL: 'plain' })).toThrow('needs STEMMA_KAFKA_USER and STEMMA_KAFKA_PASSWORD_FILE');
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

  it('leaves other programs\' and tests\' variables alone', () => {
    expect(() => readConfig({ PATH: '/bin', STEMMA_TEST_ANYTHING: '1' })).not.toThrow();
  });
});
