/** In every simulation: another Temporal below the workflow code, other clocks below the services, and what costs much and has no state computed once. */
import { vi } from 'vitest';

vi.mock('node:timers/promises', async (original) => (await import('./time-stub.js')).simulatedTimers(await original()));
vi.mock('@temporalio/workflow', () => import('./workflow-stub.js'));
vi.mock('../../environments/registry.js', async (original) => {
  const actual = await original<typeof import('../../environments/registry.js')>();
  return { ...actual, createEnvironments: (await import('./memo.js')).onceEnvironments(actual.createEnvironments) };
});
vi.mock('../../services/runtime/chat.js', async (original) => {
  const actual = await original<typeof import('../../services/runtime/chat.js')>();
  return { ...actual, openChat: (await import('./memo.js')).onceChat(actual.openChat) };
});
