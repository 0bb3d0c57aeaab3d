/**
 * A deploy in the middle of a run, on a real server: another version of the workflows takes over, comes beside the old one, is
 * taken back, or is wrong. docs/decisions/worker-versioning.md.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { WorkflowHandle } from '@temporalio/client';
import { startRunWorkflow } from '../../../services/worker/start-runs.js';
import type { WorkflowBundle } from '../../../services/worker/bundle.js';
import { startWorkers, type Workers } from '../../../services/worker/worker.js';
import type { RunOutcome } from '../../../workflows/training-run.js';
import { inMemoryRun, type InMemoryRun } from '../../support/in-memory-run.js';
import { openTemporalBench, type TemporalBench } from '../../support/temporal-bench.js';
import { NO_TEMPORAL, findTemporal } from '../../support/temporal-executable.js';
import { changedBundle } from '../../support/workflow-versions.js';

const executable = findTemporal();
const ALL_STEPS = ['sft/1', 'sft/2', 'sft/3', 'sft/4', 'rl-search/1', 'rl-search/2', 'rl-search/3', 'distill/1', 'distill/2'];

type Version = 'this' | 'patched' | 'bare';

describe.skipIf(executable === undefined)(`an upgrade in the middle of a run${executable === undefined ? ` (${NO_TEMPORAL})` : ''}`, () => {
  let bench: TemporalBench;
  const bundles: { [V in Version]?: WorkflowBundle } = {};
  beforeAll(async () => {
    bench = await openTemporalBench(executable as string);
    Object.assign(bundles, { patched: await changedBundle('patched'), bare: await changedBundle('bare') });
  });
  afterAll(async () => { await bench?.close(); });

  let inMemory: InMemoryRun;
  let reached: Promise<void>;
  let open: () => void;
  /** The run is held back in its second stage. */
  beforeEach(() => {
    let arrive!: () => void;
    reached = new Promise((resolve) => { arrive = resolve; });
    const opened = new Promise<void>((resolve) => { open = resolve; });
    inMemory = inMemoryRun({
      on: async ({ name, stage, step }) => {
        if (name !== 'rolloutShard' || stage !== 'rl-search' || step !== 2) return;
        arrive();
        await opened;
      },
    });
  });

  function host(version: Version): Promise<Workers> {
    return startWorkers({ address: bench.server.address, namespace: bench.server.namespace, activities: inMemory.activities, onLog: () => undefined, ...(version === 'this' ? {} : { bundle: bundles[version] }) });
  }

  async function started(run: string): Promise<WorkflowHandle> {
    await startRunWorkflow(bench.client, { run, input: { recipe: 'tiny' } });
    return bench.client.workflow.getHandle(run);
  }

  async function assertWhole(handle: WorkflowHandle): Promise<void> {
    expect(await handle.result()).toMatchObject({ status: 'finished', weightsHash: 'after 9 steps' } satisfies Partial<RunOutcome>);
    expect(inMemory.facts.steps).toEqual(ALL_STEPS);
  }

  it('the new version takes over: each task says which code decided, none failed', async () => {
    const old = await host('this');
    const handle = await started('upgraded');
    await reached;
    const next = await host('patched');
    await old.stop();
    open();
    await assertWhole(handle);
    const { failures, builds, markers } = await told(handle);
    expect({ failures, builds: builds.length }).toEqual({ failures: [], builds: 2 });
    // One marker: before the stages that the new version began, none before those of the old.
    expect(markers).toBe(1);
    await next.stop();
  });

  it('taken back: the old version cannot read on and fails no run; the new one, back again, goes on', async () => {
    const next = await host('patched');
    const handle = await started('rolled-back');
    await reached;
    await next.stop();
    const old = await host('this');
    open();
    await expect.poll(async () => (await told(handle)).failures, { timeout: 60_000 }).toContain('NON_DETERMINISTIC_ERROR');
    expect((await handle.describe()).status.name).toBe('RUNNING');
    await old.stop();
    const again = await host('patched');
    await assertWhole(handle);
    await again.stop();
  });

  it('a change that histories do not allow: the run waits, and reset to its first task it goes on from its log', async () => {
    const old = await host('this');
    const handle = await started('broken');
    await reached;
    await old.stop();
    const wrong = await host('bare');
    open();
    await expect.poll(async () => (await told(handle)).failures, { timeout: 60_000 }).toContain('NON_DETERMINISTIC_ERROR');
    // As "Reset" in the Temporal UI, to the first workflow task.
    const first = (await handle.fetchHistory()).events?.find(({ workflowTaskCompletedEventAttributes: done }) => done);
    await bench.client.workflowService.resetWorkflowExecution({
      namespace: bench.server.namespace, workflowExecution: { workflowId: 'broken' }, reason: 'its history does not fit the new version', workflowTaskFinishEventId: first?.eventId, requestId: 'reset',
    });
    await assertWhole(bench.client.workflow.getHandle('broken'));
    await wrong.stop();
  });
});

interface Told {
  readonly failures: readonly string[];
  readonly builds: readonly string[];
  readonly markers: number;
}

async function told(handle: WorkflowHandle): Promise<Told> {
  const { events } = await handle.fetchHistory();
  const all = events ?? [];
  return {
    failures: all.flatMap(({ workflowTaskFailedEventAttributes: failed }) => (failed ? [causeName(failed.cause)] : [])),
    builds: [...new Set(all.flatMap(({ workflowTaskCompletedEventAttributes: done }) => done?.workerVersion?.buildId ?? []))],
    markers: all.filter(({ markerRecordedEventAttributes: marker }) => marker?.markerName === 'core_patch').length,
  };
}

/** WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR is 24 on the wire. */
function causeName(cause: unknown): string {
  return cause === 24 || String(cause).includes('NON_DETERMINISTIC_ERROR') ? 'NON_DETERMINISTIC_ERROR' : String(cause);
}
