/** Whether Temporal answers on a connection. */
import type { Connection } from '@temporalio/client';
import type { HealthCheck } from '../runtime/health.js';

const ANSWERS_WITHIN_MS = 2_000;

export function temporalCheck(connection: Pick<Connection, 'healthService' | 'withDeadline'>): HealthCheck {
  return { name: 'temporal', ask: () => connection.withDeadline(Date.now() + ANSWERS_WITHIN_MS, () => connection.healthService.check({})) };
}
