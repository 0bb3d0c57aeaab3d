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

const record = process.env['STEMMA_TEST_RECORD'] ?? '';
if (record !== '') {
  const executable = findTemporal();
  if (executable === undefined) throw new Error(NO_TEMPORAL);
  await recordHistories(executable, join(HISTORIES, record));
}

interface Recorded {
  readonly events: {
    readonly workflowExecutionStartedEventAttributes?: { readonly workflowId?: string; header?: object };
    readonly activityTaskScheduledEventAttributes?: { readonly activityType: { name: string } };
    readonly workflowTaskCompletedEventAttributes?: { readonly sdkMetadata?: { readonly coreUsedFlags?: number[] } };
  }[];
}

/** A folder a version of the workflows. */
const VERSIONS = readdirSync(HISTORIES).sort();
const names = VERSIONS.flatMap((version) => readdirSync(join(HISTORIES, version)).filter((file) => file.endsWith('.json')).map((file) => join(version, file)));

function read(file: string): Recorded {
  return JSON.parse(readFileSync(join(HISTORIES, file), 'utf8')) as Recorded;
}

describe('replay of committed histories', () => {
  let workflowBundle: WorkflowBundle;
  beforeAll(async () => { workflowBundle = await buildWorkflowBundle(); });

  async function replay(history: Recorded): Promise<void> {
    await Worker.runReplayHistory({ workflowBundle }, history, workflowIdOf(history));
  }

  it('there are some of each kind and version', () => {
    for (const version of VERSIONS) {
      for (const kind of ['all-stages', 'amend', 'cancelled', 'continued', 'pause-resume', 'standing', 'stop', 'weights-missing']) {
        expect(names.filter((name) => name.startsWith(join(version, kind))), `${version} ${kind}`).not.toEqual([]);
      }
    }
  });

  it('of what a schedule starts, too', () => {
    expect(names).toEqual(expect.arrayContaining([join(VERSIONS.at(-1) ?? '', 'scheduled.schedule.json'), join(VERSIONS.at(-1) ?? '', 'scheduled.run.json')]));
  });

  it.each(names)('%s', async (file) => {
    await replay(read(file));
  });

  it.each(names)('%s, had it been traced', async (file) => {
    const history = read(file);
    const started = history.events[0]?.workflowExecutionStartedEventAttributes;
    if (started === undefined) throw new Error('the history starts no workflow');
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const base64 = (text: string): string => Buffer.from(text).toString('base64');
    started.header = { fields: { traceparent: { metadata: { encoding: base64('json/plain') }, data: base64(JSON.stringify(traceparent)) } } };
    await replay(history);
  });

  it('notices another order of decisions', async () => {
    const history = read(join(VERSIONS.at(-1) ?? '', 'all-stages.rl-search.json'));
    // Without these flags the SDK would not compare activity types at all.
    expect(history.events.some((event) => event.workflowTaskCompletedEventAttributes?.sdkMetadata?.coreUsedFlags !== undefined)).toBe(true);
    const scheduled = history.events.find((event) => event.activityTaskScheduledEventAttributes?.activityType.name === 'advanceRl');
    if (scheduled?.activityTaskScheduledEventAttributes === undefined) throw new Error('the history schedules no advanceRl');
    scheduled.activityTaskScheduledEventAttributes.activityType.name = 'advanceSft';
    await expect(replay(history)).rejects.toThrow(DeterminismViolationError);
  });
});

function workflowIdOf(history: Recorded): string {
  return history.events[0]?.workflowExecutionStartedEventAttributes?.workflowId ?? 'unknown';
}
