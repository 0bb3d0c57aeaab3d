/**
 * What the Temporal UI has to show and to take, asked of a real server as the UI asks it: pages, queries, summaries, attributes,
 * updates typed by hand, a schedule. A browser drives the UI itself in test/e2e/temporal-ui.test.ts.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { WorkflowHandle } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { help, stages } from '../../../workflows/messages.js';
import type { RunOutcome } from '../../../workflows/training-run.js';
import { inMemoryRun, type InMemoryRun } from '../../support/in-memory-run.js';
import { openTemporalBench, type TemporalBench } from '../../support/temporal-bench.js';
import { NO_TEMPORAL, findTemporal } from '../../support/temporal-executable.js';

const executable = findTemporal();

/** As the UI asks for "Current Details" and for what it offers in its forms. */
interface Metadata {
  readonly currentDetails?: string;
  readonly definition?: { readonly updateDefinitions?: readonly { readonly name?: string; readonly description?: string }[] };
}

async function pageOf(handle: WorkflowHandle): Promise<string> {
  return (await handle.query<Metadata>('__temporal_workflow_metadata')).currentDetails ?? '';
}

/** What the person who sent it reads. */
async function refusal(handle: WorkflowHandle, update: string, ...args: unknown[]): Promise<string> {
  return handle.executeUpdate(update, { args: args as [unknown] }).then(() => 'taken', (error: Error & { cause?: Error }) => error.cause?.message ?? error.message);
}

async function statusOf(handle: WorkflowHandle): Promise<{ readonly [name: string]: unknown }> {
  const { typedSearchAttributes } = await handle.describe();
  return Object.fromEntries(typedSearchAttributes.getAll().filter(({ key }) => key.name.startsWith('Stemma')).map(({ key, value }) => [key.name.slice('Stemma'.length).toLowerCase(), value]));
}

async function summariesOf(handle: WorkflowHandle): Promise<string[]> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).flatMap(({ userMetadata }) => (userMetadata?.summary ? [defaultPayloadConverter.fromPayload<string>(userMetadata.summary)] : []));
}

describe.skipIf(executable === undefined)(`a run seen in the Temporal UI${executable === undefined ? ` (${NO_TEMPORAL})` : ''}`, () => {
  let bench: TemporalBench;
  beforeAll(async () => { bench = await openTemporalBench(executable as string); });
  afterAll(async () => { await bench?.close(); });

  /** As the form starts it: id, queue, type, one JSON value. */
  async function startedByHand(id: string, inMemory: InMemoryRun, body: (handle: WorkflowHandle) => Promise<void>): Promise<void> {
    const workers = await bench.host(inMemory.activities);
    try {
      await body(await bench.client.workflow.start('trainingRun', { workflowId: id, taskQueue: 'stemma-worker', args: [{ recipe: 'tiny' }] }));
    } finally {
      await workers.stop();
    }
  }

  it('is steered by what a person types, and is told what to type', async () => {
    const gate = held('rl-search', 2);
    await startedByHand('by-hand', gate.run, async (handle) => {
      await gate.reached;
      expect(await pageOf(handle)).toMatch(/is \*\*running\*\*, stage \*\*rl-search\*\* \(2 of 3\)[^]*\| ✓ \| sft \| finished \| 4\sof\s4 \| loss 0\.2500, accuracy 0\.500 \|[^]*\| {2}\| distill \|/);
      // With no input, with null, with text: a pause is a pause.
      await handle.executeUpdate('pause');
      expect(await pageOf(handle)).toMatch(/is \*\*paused\*\*[^]*`resume`, `stop`: no input/);
      await handle.executeUpdate('resume', { args: [null] });
      await handle.executeUpdate('pause', { args: ['lunch'] });
      expect([...gate.run.facts.controls.values()].map(({ action, by, seal }) => [action, by, seal])).toEqual([['pause', '', ''], ['resume', '', ''], ['pause', '', '']]);
      const example = JSON.parse((await handle.query(help))['amend'] ?? '') as object;
      for (const typed of [undefined, null, 'faster', { stage: 'distill' }]) expect(await refusal(handle, 'amend', typed)).toContain(`type for instance ${JSON.stringify(example)}`);
      expect(await refusal(handle, 'amend', { ...example, stage: 'distil' })).toContain('there is no stage distil; there are rl-search, distill. Type for instance {"stage":"distill"');
      expect(await refusal(handle, 'amend', { ...example, stage: 'sft' })).toContain('stage sft has taken its steps');
      expect(await refusal(handle, 'amend', example)).toBe('taken');
      expect(await pageOf(handle)).toContain('`distill optimizer.learningRate` = `0.0002` from step');
      await handle.executeUpdate('resume');
      gate.open();
      expect(((await handle.result()) as RunOutcome).status).toBe('finished');
      expect(await pageOf(handle)).toMatch(/is \*\*finished\*\*[^]*Weights `after 9 steps`/);
      expect(await handle.query(stages)).toMatchObject({ sft: 'finished, step 4 of 4, loss 0.2500, accuracy 0.500', 'rl-search': 'finished, step 3 of 3, reward 1.000' });
      expect(await refusal(handle, 'pause')).not.toBe('taken');
    });
  });

  it('says in search what it is and how it is, and so do its stages', async () => {
    const gate = held('rl-search', 2);
    await startedByHand('searched', gate.run, async (handle) => {
      const stage = bench.client.workflow.getHandle('searched/rl-search');
      await gate.reached;
      expect(await statusOf(handle)).toEqual({ recipe: 'tiny', stage: 'rl-search', domain: 'search', status: 'running' });
      await handle.executeUpdate('pause');
      await expect.poll(() => statusOf(stage)).toEqual({ recipe: 'tiny', stage: 'rl-search', domain: 'search', status: 'paused' });
      await handle.executeUpdate('resume');
      gate.open();
      await handle.result();
      expect(await statusOf(handle)).toEqual({ recipe: 'tiny', stage: 'distill', domain: 'all', status: 'finished' });
      expect(await statusOf(stage)).toMatchObject({ status: 'finished' });
      const summaries = [...await summariesOf(handle), ...await summariesOf(stage)];
      expect(summaries).toEqual(expect.arrayContaining(['open run searched: recipe tiny', 'pause', 'start stage rl-search', 'rl-search: on from step 2 of 3', 'rl-search step 2: episodes 1 to 16', 'finish run searched']));
    });
  });

  it('a run that could not be opened says why and what to do', async () => {
    const workers = await bench.host(inMemoryRun().activities);
    const handle = await bench.client.workflow.start('trainingRun', { workflowId: 'wrong', taskQueue: 'stemma-worker', args: [{ recipe: 'unknown' }] });
    await handle.result().catch(() => undefined);
    expect(await pageOf(handle)).toMatch(/is \*\*failed\*\*\.\n\n> there is no recipe unknown\. Use micro, tiny or agents-a1\./);
    await workers.stop();
  });

  it('continued as new, a stage keeps what its page says', async () => {
    const inMemory = inMemoryRun();
    const workers = await bench.host(inMemory.activities);
    await inMemory.activities.worker?.startStage({ run: 'long', stage: 'rl-search' });
    const handle = await bench.client.workflow.start('rlStage', {
      taskQueue: 'stemma-worker', workflowId: 'long/rl-search', args: [{ run: 'long', stage: 'rl-search', steps: 3, paused: false, advancesPerHistory: 2 }],
    });
    expect(await handle.result()).toMatchObject({ finished: true, step: 3, figures: { reward: 1 } });
    const [first] = (await bench.client.workflow.getHandle('long/rl-search').fetchHistory()).events ?? [];
    const input = first?.workflowExecutionStartedEventAttributes?.input?.payloads?.[0];
    expect(defaultPayloadConverter.fromPayload(input!)).toMatchObject({ continued: { step: 2, figures: { reward: 1 / 3 } } });
    await workers.stop();
  });

  it('a nightly schedule starts a run of its own id, waits for it, and can be triggered', async () => {
    const inMemory = inMemoryRun();
    const workers = await bench.host(inMemory.activities);
    const schedule = await bench.client.schedule.create({
      scheduleId: 'nightly', spec: { calendars: [{ hour: 2 }] }, policies: { overlap: 'SKIP' },
      action: { type: 'startWorkflow', workflowType: 'scheduledRun', workflowId: 'nightly', taskQueue: 'stemma-worker', args: [{ recipe: 'tiny' }] },
    });
    await schedule.trigger();
    const started = async (): Promise<string> => {
      const [latest] = (await schedule.describe()).info.recentActions;
      return latest?.action.type === 'startWorkflow' ? latest.action.workflow.workflowId : '';
    };
    await expect.poll(started, { timeout: 20_000 }).toMatch(/^nightly-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    const workflowId = await started();
    const run = workflowId.replaceAll(':', '');
    expect(await bench.client.workflow.getHandle(workflowId).result()).toEqual({ run, status: 'finished', weightsHash: 'after 9 steps' });
    expect(await statusOf(bench.client.workflow.getHandle(run))).toMatchObject({ recipe: 'tiny', status: 'finished' });
    await schedule.delete();
    await workers.stop();
  });
});

/** A run that is held back in one step of one stage. */
function held(stage: string, step: number): { readonly run: InMemoryRun; readonly reached: Promise<void>; open(): void } {
  let arrive!: () => void;
  let open!: () => void;
  const reached = new Promise<void>((resolve) => { arrive = resolve; });
  const opened = new Promise<void>((resolve) => { open = resolve; });
  const run = inMemoryRun({
    on: async (call) => {
      if (call.name !== 'rolloutShard' || call.stage !== stage || call.step !== step) return;
      arrive();
      await opened;
    },
  });
  return { run, reached, open: () => open() };
}
