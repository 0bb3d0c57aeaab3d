/** The services that start alone, and what each needs before it can. */
import { StemmaError } from '../../core/errors.js';
import type { Config } from '../runtime/config.js';
import { SYSTEM_AUTHORITIES } from '../runtime/security-settings.js';

export const ROLES = ['gateway', 'worker', 'rollout', 'teacher-scoring', 'learner', 'distiller'] as const;
export type Role = (typeof ROLES)[number];

interface Needs {
  /** Starts a sidecar of its own. */
  readonly sidecar: boolean;
  readonly temporal: boolean;
  /** Asks the teacher-scoring service. */
  readonly scoring: boolean;
}

export const NEEDS: { readonly [R in Role]: Needs } = {
  gateway: { sidecar: false, temporal: true, scoring: false },
  worker: { sidecar: false, temporal: true, scoring: false },
  rollout: { sidecar: true, temporal: true, scoring: false },
  'teacher-scoring': { sidecar: true, temporal: false, scoring: false },
  learner: { sidecar: true, temporal: true, scoring: true },
  distiller: { sidecar: true, temporal: true, scoring: true },
};

/** INVALID, with every missing setting on a line of its own. */
export function assertConfigured(role: Role, config: Config): void {
  const needs = NEEDS[role];
  const problems = [
    ...(config.log.kind === 'embedded' ? ['STEMMA_LOG: expected kafka://host:port; the embedded log has one writer process, so services that start alone need a shared one'] : []),
    ...(config.tls.certFile !== '' && config.tls.caFile === SYSTEM_AUTHORITIES ? ['STEMMA_TLS_CA_FILE: expected a file: services believe one authority, not everybody\'s'] : []),
    ...(needs.temporal && config.addresses.temporal === '' ? ['STEMMA_TEMPORAL_ADDRESS: expected host:port of Temporal'] : []),
    ...(needs.scoring && config.addresses.scoring === '' ? ['STEMMA_SCORING_ADDRESS: expected host:port of the teacher-scoring service'] : []),
    ...(needs.sidecar && config.addresses.sidecar === '' && config.tools.python === '' ? ['STEMMA_PYTHON: set-up has found no Python for the sidecar'] : []),
  ];
  if (problems.length === 0) return;
  throw new StemmaError('setup', 'INVALID', [`the ${role} service lacks settings:`, ...problems.map((problem) => `  ${problem}`)].join('\n'),
    'Set these variables, or start all services of one machine with `npm run stemma -- up --distributed`.');
}
