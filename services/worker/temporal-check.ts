/** Whether Temporal answers on a connection. */
import type { Connection } from '@temporalio/client';
import type { HealthCheck } from '../runtime/health.js';

const ANSWERS_WITHIN_MS = 2_000;

export function temporalCheck(current: () => Pick<Connection, 'healthService' | 'withDeadline'>): HealthCheck {
  return { name: 'temporal', ask: () => ask(current()) };
}

function ask(connection: Pick<Connection, 'healthService' | 'withDeadline'>): Promise<unknown> {
  return connection.withDeadline(Date.now() + ANSWERS_WITHIN_MS, () => connection.healthService.check({}));
}
