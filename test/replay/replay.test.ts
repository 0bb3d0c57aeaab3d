/** The workflows still take the decisions they took in the committed histories: unfinished runs go on after an upgrade. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from '@temporalio/worker';
import { DeterminismViolationError } from '@temporalio/workflow';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildWorkflowBundle, type WorkflowBundle } from '../../services/worker/bundle.js';
import { installRuntime } from '../../services/worker/sdk-runtime.js';
import { findTemporal, NO_TEMPORAL } from '../support/temporal-executable.js';
import { recordHistories } from './record.js';

await installRuntime(() => undefined);

const HISTORIES = join(import.meta.dirname, 'histories');

if (process.env['STEMMA_TEST_RECORD'] === '1') {
  const executable = findTemporal();
  if (executable === undefined) throw new Error(NO_TEMPORAL);
  await recordHistories(executable, HISTORIES);
}

interface Recorded {
  readonly events: {
    readonly activityTaskScheduledEventAttributes?: { readonly activityType: { name: string } };
    readonly workflowTaskCompletedEventAttributes?: { readonly sdkMetadata?: { readonly coreUsedFlags?: number[] } };
  }[];
}

const names = readdirSync(HISTORIES).filter((file) => file.endsWith('.json'));

function read(file: string): Recorded {
  return JSON.parse(readFileSync(join(HISTORIES, file), 'utf8')) as Recorded;
}

describe('replay of committed histories', () => {
  let workflowBundle: WorkflowBundle;
  beforeAll(async () => { workflowBundle = await buildWorkflowBundle(); });

  async function replay(history: Recorded): Promise<void> {
    await Worker.runReplayHistory({ workflowBundle }, history, workflowIdOf(history));
  }

  it('there are some of each kind', () => {
    expect(names.length).toBeGreaterThanOrEqual(15);
  });

  it.each(names)('%s', async (file) => {
    await replay(read(file));
  });

  it('notices another order of decisions', async () => {
    const history = read('all-stages.rl-search.json');
    // Without these flags the SDK would not compare activity types at all.
    expect(history.events.some((event) => event.workflowTaskCompletedEventAttributes?.sdkMetadata?.coreUsedFlags !== undefined)).toBe(true);
    const scheduled = history.events.find((event) => event.activityTaskScheduledEventAttributes?.activityType.name === 'advanceRl');
    if (scheduled?.activityTaskScheduledEventAttributes === undefined) throw new Error('the history schedules no advanceRl');
    scheduled.activityTaskScheduledEventAttributes.activityType.name = 'advanceSft';
    await expect(replay(history)).rejects.toThrow(DeterminismViolationError);
  });
});

function workflowIdOf(history: Recorded): string {
  const [first] = history.events as { workflowExecutionStartedEventAttributes?: { workflowId?: string } }[];
  return first?.workflowExecutionStartedEventAttributes?.workflowId ?? 'unknown';
}
