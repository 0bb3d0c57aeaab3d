import { describe, expect, it } from 'vitest';
import type { StemmaError } from '../../../../core/errors.js';
import { assertConfigured, ROLES, type Role } from '../../../../services/roles/role.js';
import { environmentOf, readConfig } from '../../../../services/runtime/config.js';

const NO_TOOLS = { STEMMA_TOOLCHAIN: '/nowhere/toolchain.json' };
const WHOLE = { ...NO_TOOLS, STEMMA_LOG: 'kafka://a:9092,b:9092', STEMMA_TEMPORAL_ADDRESS: 't:7233', STEMMA_SCORING_ADDRESS: 's:7301', STEMMA_PYTHON: '/py', STEMMA_INSECURE: 'listen,scoring,temporal,kafka' };

const problemsOf = (role: Role, environment: Record<string, string>): string => {
  try {
    assertConfigured(role, readConfig(environment));
    return '';
  } catch (error) {
    return (error as StemmaError).message;
  }
};

describe('a service that starts alone', () => {
  it('says all that it lacks at once, and only what it needs', () => {
    const lacking = (role: Role): string[] => [...problemsOf(role, NO_TOOLS).matchAll(/^ {2}(STEMMA_\w+):/gm)].map(([, name]) => name ?? '');
    expect(Object.fromEntries(ROLES.map((role) => [role, lacking(role)]))).toEqual({
      gateway: ['STEMMA_LOG', 'STEMMA_TEMPORAL_ADDRESS'],
      worker: ['STEMMA_LOG', 'STEMMA_TEMPORAL_ADDRESS'],
      rollout: ['STEMMA_LOG', 'STEMMA_TEMPORAL_ADDRESS', 'STEMMA_PYTHON'],
      'teacher-scoring': ['STEMMA_LOG', 'STEMMA_PYTHON'],
      learner: ['STEMMA_LOG', 'STEMMA_TEMPORAL_ADDRESS', 'STEMMA_SCORING_ADDRESS', 'STEMMA_PYTHON'],
      distiller: ['STEMMA_LOG', 'STEMMA_TEMPORAL_ADDRESS', 'STEMMA_SCORING_ADDRESS', 'STEMMA_PYTHON'],
    });
    for (const role of ROLES) expect(problemsOf(role, WHOLE)).toBe('');
  });

  it('refuses the embedded log, which one process writes', () => {
    expect(problemsOf('rollout', { ...WHOLE, STEMMA_LOG: 'embedded' })).toMatch(/one writer process/);
  });

  it('gets its whole configuration through its environment', () => {
    const config = readConfig({ ...WHOLE, STEMMA_HOME: '/h', STEMMA_BLOBS: '/b', STEMMA_THREADS: '3', STEMMA_SCORING_PORT: '7', STEMMA_GATEWAY_PORT: '8', STEMMA_METRICS_PORT: '9', STEMMA_LISTEN_HOST: '::1', STEMMA_TLS_CERT_FILE: '/c', STEMMA_TLS_KEY_FILE: '/k', STEMMA_TLS_CA_FILE: '/a', STEMMA_TEMPORAL_TLS: 'on', STEMMA_KAFKA_TLS: 'on', STEMMA_KAFKA_CA_FILE: '/ka', STEMMA_GATEWAY_CLIENTS: 'required', STEMMA_OIDC_ISSUER: 'https://i', STEMMA_OIDC_AUDIENCE: 'a', STEMMA_OIDC_SCOPES: '{"x":["read"]}', STEMMA_LOG_FILE: '/l', STEMMA_LOG_LEVEL: 'warn' });
    // The ports of Temporal are for who starts it.
    expect(readConfig({ ...environmentOf(config), ...NO_TOOLS })).toEqual(config);
  });

  it('is told of an address that is none', () => {
    expect(() => readConfig({ STEMMA_TEMPORAL_ADDRESS: 'temporal', STEMMA_SCORING_ADDRESS: 'h:99999' })).toThrow(/STEMMA_TEMPORAL_ADDRESS: expected host:port.*\n.*STEMMA_SCORING_ADDRESS: expected host:port/);
  });
});
