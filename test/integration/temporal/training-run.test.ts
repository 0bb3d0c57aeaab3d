/** The workflows on a real Temporal server, over facts in memory: all stages, people, failures, lost processes, a lost database. */
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { WorkflowHandle } from '@temporalio/client';
import { StemmaError } from '../../../core/errors.js';
import { ensureRunWorkflows, startRunWorkflow } from '../../../services/worker/start-runs.js';
import type { Workers } from '../../../services/worker/worker.js';
import { progress, pause, resume, stop, amend } from '../../../workflows/messages.js';
import type { RunOutcome } from '../../../workflows/training-run.js';
import { inMemoryRun, type InMemoryRun, type Script } from '../../support/in-memory-run.js';
import { openTemporalBench, type TemporalBench } from '../../support/temporal-bench.js';
import { NO_TEMPORAL, findTemporal } from '../../support/temporal-executable.js';

const executable = findTemporal();
const ALL_STEPS = ['sft/1', 'sft/2', 'sft/3', 'sft/4', 'rl-search/1', 'rl-search/2', 'rl-search/3', 'distill/1', 'distill/2'];

interface Running extends InMemoryRun {
  readonly run: string;
  readonly handle: WorkflowHandle;
  readonly workers: Workers;
  result(): Promise<RunOutcome>;
}

describe.skipIf(executable === undefined)(`training runs on Temporal${executable === undefined ? ` (${NO_TEMPORAL})` : ''}`, () => {
  let bench: TemporalBench;
  let count = 0;
  beforeAll(async () => { bench = await openTemporalBench(executable as string); });
  afterAll(async () => { await bench?.close(); });

  async function withRun(script: Script, body: (running: Running) => Promise<void>, recipe = 'tiny'): Promise<void> {
    count += 1;
    const run = `run-${count}`;
    const inMemory = inMemoryRun(script);
    const workers = await bench.host(inMemory.activities);
    try {
      await startRunWorkflow(bench.client, { run, input: { recipe } });
      const handle = bench.client.workflow.getHandle(run);
      await body({ ...inMemory, run, handle, workers, result: () => handle.result() as Promise<RunOutcome> });
    } finally {
      await workers.stop();
    }
  }

  it('takes every step of every stage once and evaluates where the plan says so', async () => {
    await withRun({}, async ({ facts, run, result, handle }) => {
      expect(await result()).toEqual({ run, status: 'finished', weightsHash: 'after 9 steps' });
      expect(facts.steps).toEqual(ALL_STEPS);
      expect([...facts.stages].filter(([, stage]) => stage.evaluated).map(([id]) => id)).toEqual(['sft', 'distill']);
      expect(facts.end).toBe('finished');
      expect(await handle.query(progress)).toMatchObject({ run, recipe: 'tiny', status: 'finished', stage: 'distill', stageNumber: 3, stages: 3 });
      const { typedSearchAttributes } = await handle.describe();
      expect(JSON.stringify(typedSearchAttributes)).toContain('tiny');
    });
  });

  it('starts from the Temporal UI with the recipe alone, and is found by its search attributes', async () => {
    await withRun({}, async ({ run, result }) => {
      await result();
      await expect.poll(async () => {
        const found: string[] = [];
        for await (const { workflowId } of bench.client.workflow.list({ query: `StemmaRecipe = "tiny" AND StemmaStatus = "finished"` })) found.push(workflowId);
        return found;
      }, { timeout: 20_000 }).toContain(run);
    });
  });

  it('pauses before the next step and goes on', async () => {
    const reached = signal();
    const open = signal();
    await withRun({ on: async ({ name, step }) => { if (name === 'advanceRl' && step === 1) { reached.fire(); await open.fired; } } }, async ({ facts, run, handle, result }) => {
      await reached.fired;
      await handle.executeUpdate(pause, { updateId: 'pause-1', args: [{ by: 'ada' }] });
      expect(facts.controls.get('pause-1')).toMatchObject({ run, action: 'pause', by: 'ada' });
      open.fire();
      const stage = bench.client.workflow.getHandle(`${run}/rl-search`);
      await expect.poll(() => stage.query(progress), { timeout: 20_000 }).toMatchObject({ paused: true, step: 1, needs: { kind: 'rollouts' } });
      expect(facts.stages.get('rl-search')?.rolledOut.size).toBe(0);
      expect(await handle.query(progress)).toMatchObject({ status: 'paused', paused: true });
      await handle.executeUpdate(resume, { args: [{}] });
      expect((await result()).status).toBe('finished');
      expect(facts.steps).toEqual(ALL_STEPS);
    });
  });

  it('stops after the step it is in', async () => {
    const reached = signal();
    const open = signal();
    await withRun({ on: async ({ name, stage, step }) => { if (name === 'rolloutShard' && stage === 'rl-search' && step === 2) { reached.fire(); await open.fired; } } }, async ({ facts, handle, result }) => {
      await reached.fired;
      await handle.executeUpdate(stop, { args: [{}] });
      await expect(handle.executeUpdate(pause, { args: [{}] })).rejects.toThrow();
      open.fire();
      expect((await result()).status).toBe('stopped');
      expect(facts.steps.at(-1)).toBe('rl-search/2');
      expect(facts.end).toBe('stopped: stop was requested');
    });
  });

  it('records an amendment and refuses a wrong one', async () => {
    const reached = signal();
    const open = signal();
    await withRun({ on: async ({ name, step }) => { if (name === 'advanceRl' && step === 1) { reached.fire(); await open.fired; } } }, async ({ facts, handle, result }) => {
      await reached.fired;
      const answer = await handle.executeUpdate(amend, { updateId: 'amend-1', args: [{ stage: 'distill', path: 'optimizer.learningRate', value: 0.1 }] });
      expect(answer).toEqual({ effectiveStep: 2 });
      expect(facts.controls.get('amend-1')).toMatchObject({ stage: 'distill', path: 'optimizer.learningRate', value: 0.1, by: '', seal: '' });
      await expect(handle.executeUpdate(amend, { args: [{ stage: 'nowhere', path: 'x', value: 1 }] })).rejects.toMatchObject({ cause: { message: expect.stringContaining('there is no stage nowhere') } });
      await expect(handle.executeUpdate(amend, { args: [{ stage: 'distill', path: 'refused', value: 1 }] })).rejects.toThrow();
      open.fire();
      expect((await result()).status).toBe('finished');
    });
  });

  it('advances again when a shard lacks its weights or exhausts its retries', async () => {
    let missing = 2;
    let failing = 7;
    const script: Script = {
      weightsMissing: ({ step, from }) => step === 1 && from === 0 && (missing -= 1) >= 0,
      on: ({ name, stage, step }) => {
        if (name === 'rolloutShard' && stage === 'rl-search' && step === 2 && (failing -= 1) >= 0) throw new StemmaError('sampler', 'UNAVAILABLE', 'the sidecar is away', 'It is restarted.');
      },
    };
    await withRun(script, async ({ facts, result }) => {
      expect((await result()).status).toBe('finished');
      expect(facts.steps).toEqual(ALL_STEPS);
    });
  });

  it('fails with the cause and what to do, and records it', async () => {
    const on = ({ name }: { name: string }): void => { if (name === 'advanceDistill') throw new StemmaError('trainer', 'DIVERGED', 'step 1 diverged', 'Compare the devices.'); };
    await withRun({ on }, async ({ facts, handle, result }) => {
      await expect(result()).rejects.toMatchObject({ cause: { type: 'DIVERGED', message: 'step 1 diverged. Compare the devices.' } });
      expect(facts.end).toBe('failed: DIVERGED of trainer: step 1 diverged. Compare the devices.');
      expect(await handle.query(progress)).toMatchObject({ status: 'failed' });
    });
  });

  it('a run that cannot be opened leaves no fact, and is reported', async () => {
    await withRun({}, async ({ facts, run, result }) => {
      await expect(result()).rejects.toMatchObject({ cause: { type: 'NOT_FOUND' } });
      expect(facts.end).toBeUndefined();
      const seen = await ensureRunWorkflows(bench.client, [{ run, input: { recipe: 'unknown' } }]);
      expect(seen).toEqual({ started: [], terminated: [], failed: [{ run, message: 'there is no recipe unknown. Use micro, tiny or agents-a1.', cause: { code: 'NOT_FOUND', boundary: 'recipe' } }] });
    }, 'unknown');
  });

  it('records a cancelled run as stopped, reports a terminated one', async () => {
    const script = (reached: Signal): Script => ({ on: async ({ name }) => { if (name === 'advanceRl') { reached.fire(); await new Promise(() => undefined); } } });
    const first = signal();
    await withRun(script(first), async ({ facts, handle, result }) => {
      await first.fired;
      await handle.cancel();
      await expect(result()).rejects.toThrow();
      expect(facts.end).toBe('stopped: cancelled');
    });
    const second = signal();
    await withRun(script(second), async ({ run, handle }) => {
      await second.fired;
      await handle.terminate('enough');
      expect(await ensureRunWorkflows(bench.client, [{ run, input: { recipe: 'tiny' } }])).toEqual({ started: [], terminated: [run], failed: [] });
    });
  });

  it('a stage continues as new with nothing pending', async () => {
    const inMemory = inMemoryRun();
    const workers = await bench.host(inMemory.activities);
    try {
      await inMemory.activities.worker?.startStage({ run: 'alone', stage: 'rl-search' });
      const outcome = await bench.client.workflow.execute('rlStage', {
        taskQueue: 'stemma-worker', workflowId: 'alone/rl-search',
        args: [{ run: 'alone', stage: 'rl-search', steps: 3, paused: false, advancesPerHistory: 1 }],
      });
      expect(outcome).toMatchObject({ finished: true, step: 3 });
      expect(inMemory.facts.steps).toEqual(['rl-search/1', 'rl-search/2', 'rl-search/3']);
      const first = await bench.client.workflow.getHandle('alone/rl-search').fetchHistory();
      expect(first.events?.some((event) => event.workflowExecutionStartedEventAttributes?.continuedExecutionRunId)).toBe(true);
    } finally {
      await workers.stop();
    }
  });

  it('survives kill -9 of the server in the middle of a step', async () => {
    let killed = false;
    const back = signal();
    bench.server.onRestart(() => back.fire());
    await withRun({ on: ({ name, stage, step }) => { if (!killed && name === 'rolloutShard' && stage === 'rl-search' && step === 2) { killed = true; process.kill(bench.server.pid(), 'SIGKILL'); } } }, async ({ facts, result }) => {
      expect(await patiently(result)).toMatchObject({ status: 'finished' });
      expect(killed).toBe(true);
      expect(facts.steps).toEqual(ALL_STEPS);
      // The run may end before the supervisor says that the server is back: the next test must not hear it.
      await back.fired;
    });
  });

  it('survives the loss of its database: the facts say how far the run is', async () => {
    let lost = false;
    const back = signal();
    bench.server.onRestart(() => back.fire());
    await withRun({ on: ({ name, stage, step }) => { if (!lost && name === 'rolloutShard' && stage === 'rl-search' && step === 2) { lost = true; process.kill(bench.server.pid(), 'SIGKILL'); rmSync(bench.databaseFile); } } }, async ({ facts, run, result }) => {
      await back.fired;
      expect(await ensureRunWorkflows(bench.client, [{ run, input: { recipe: 'tiny' } }])).toEqual({ started: [run], terminated: [], failed: [] });
      expect(await patiently(result)).toMatchObject({ status: 'finished' });
      expect(facts.steps).toEqual(ALL_STEPS);
      expect(await ensureRunWorkflows(bench.client, [{ run, input: { recipe: 'tiny' } }])).toEqual({ started: [], terminated: [], failed: [] });
    });
  });
});

interface Signal {
  fire(): void;
  readonly fired: Promise<void>;
}

function signal(): Signal {
  let fire!: () => void;
  const fired = new Promise<void>((resolve) => { fire = resolve; });
  return { fire, fired };
}

/** While the server is away the client's long poll fails; asked again it answers. */
async function patiently<T>(ask: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await ask();
    } catch (error) {
      if (attempt >= 50 || (error as { cause?: { code?: number } }).cause?.code === undefined) throw error;
    }
  }
}
