/**
 * Records the histories that replay.test.ts replays: real runs on a real dev server over facts in memory.
 *   STEMMA_TEST_RECORD=v3 npm run test:replay
 * writes histories/v3. Do it when the workflows take other decisions on purpose (behind a `patched`, docs/decisions/worker-versioning.md),
 * into a folder of its own, and keep the older folders for as long as runs of those versions may be unfinished.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import type { WorkflowHandle } from '@temporalio/client';
import { StemmaError } from '../../core/errors.js';
import { startRunWorkflow } from '../../services/worker/start-runs.js';
import { amend, pause, resume, stop, type StageProgress } from '../../workflows/messages.js';
import { STAGES, inMemoryRun, type Script } from '../support/in-memory-run.js';
import { openTemporalBench, type TemporalBench } from '../support/temporal-bench.js';

type History = Awaited<ReturnType<WorkflowHandle['fetchHistory']>>;

interface Scenario {
  readonly name: string;
  readonly script?: Script;
  /** While this activity is held back, people speak. */
  readonly hold?: { readonly name: string; readonly step: number };
  readonly meanwhile?: (handle: WorkflowHandle) => Promise<void>;
  /** Once the activity is no longer held back. */
  readonly afterwards?: (handle: WorkflowHandle, child: (id: string) => WorkflowHandle) => Promise<void>;
  /** Child workflows to keep, beside the run's own. */
  readonly children: readonly string[];
}

const STANDING = STAGES.map((stage) => (stage.kind === 'sft' ? { ...stage, slots: 0 } : { ...stage, slots: 2 }));

const SCENARIOS: readonly Scenario[] = [
  { name: 'all-stages', children: ['sft', 'sft/evaluate', 'rl-search', 'distill', 'distill/evaluate'] },
  {
    name: 'pause-resume', children: ['rl-search'], hold: { name: 'advanceRl', step: 2 },
    meanwhile: async (handle) => {
      await handle.executeUpdate(pause, { updateId: 'pause', args: [{ by: 'ada' }] });
      await handle.executeUpdate(resume, { updateId: 'resume', args: [{}] });
    },
  },
  { name: 'stop', children: ['rl-search'], hold: { name: 'rolloutShard', step: 2 }, meanwhile: async (handle) => { await handle.executeUpdate(stop, { updateId: 'stop', args: [{}] }); } },
  {
    name: 'amend', children: [], hold: { name: 'advanceRl', step: 1 },
    meanwhile: async (handle) => {
      await handle.executeUpdate(amend, { updateId: 'amend', args: [{ stage: 'distill', path: 'optimizer.learningRate', value: 0.1 }] });
      await handle.executeUpdate(amend, { updateId: 'refused', args: [{ stage: 'distill', path: 'refused', value: 1 }] }).catch(() => undefined);
    },
  },
  { name: 'standing', script: { stages: STANDING }, children: ['rl-search', 'distill'] },
  {
    name: 'standing-pause', script: { stages: STANDING }, children: ['rl-search'], hold: { name: 'standRollouts', step: 1 },
    meanwhile: async (handle) => { await handle.executeUpdate(pause, { updateId: 'pause', args: [{}] }); },
    afterwards: async (handle, child) => {
      while ((await child('rl-search').query<StageProgress>('progress')).step < 2) await delay(10);
      await handle.executeUpdate(resume, { updateId: 'resume', args: [{}] });
    },
  },
  { name: 'standing-fails', script: { stages: STANDING, on: ({ name }) => { if (name === 'standRollouts') throw new StemmaError('environment', 'INVALID', 'the task has no page', 'Mend the environment.'); } }, children: ['rl-search'] },
  { name: 'weights-missing', children: ['rl-search'], script: weightsMissing(3) },
  { name: 'shard-exhausted', children: ['rl-search'], script: shardFails(7) },
  { name: 'activity-failure', children: ['distill'], script: { on: ({ name }) => { if (name === 'advanceDistill') throw new StemmaError('trainer', 'DIVERGED', 'step 1 diverged', 'Compare the devices.'); } } },
  { name: 'cancelled', children: [], hold: { name: 'advanceRl', step: 1 }, meanwhile: async (handle) => { await handle.cancel(); await handle.result().catch(() => undefined); } },
];

function weightsMissing(times: number): Script {
  let left = times;
  return { weightsMissing: ({ stage, step, from }) => stage === 'rl-search' && step === 2 && from === 0 && (left -= 1) >= 0 };
}

function shardFails(times: number): Script {
  let left = times;
  return {
    on: ({ name, stage, step }) => {
      if (name === 'rolloutShard' && stage === 'rl-search' && step === 2 && (left -= 1) >= 0) throw new StemmaError('sampler', 'UNAVAILABLE', 'the sidecar is away', 'It is restarted.');
    },
  };
}

export async function recordHistories(executable: string, directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  const bench = await openTemporalBench(executable);
  try {
    for (const scenario of SCENARIOS) await record(bench, scenario, directory);
    await recordContinueAsNew(bench, directory);
    await recordScheduled(bench, directory);
  } finally {
    await bench.close();
  }
}

async function record(bench: TemporalBench, scenario: Scenario, directory: string): Promise<void> {
  const held = gate();
  const { script, hold } = scenario;
  const { activities } = inMemoryRun({
    ...script,
    on: async (call) => {
      await script?.on?.(call);
      if (call.name === hold?.name && call.stage === 'rl-search' && call.step === hold.step) await held.pass();
    },
  });
  const workers = await bench.host(activities);
  await startRunWorkflow(bench.client, { run: scenario.name, input: { recipe: 'tiny' } });
  const handle = bench.client.workflow.getHandle(scenario.name);
  if (hold) {
    await held.reached;
    await scenario.meanwhile?.(handle);
    held.open();
    await scenario.afterwards?.(handle, (id) => bench.client.workflow.getHandle(`${scenario.name}/${id}`));
  }
  await handle.result().catch(() => undefined);
  await save(directory, `${scenario.name}.run`, await handle.fetchHistory());
  for (const child of scenario.children) {
    await save(directory, `${scenario.name}.${child.replace('/', '-')}`, await bench.client.workflow.getHandle(`${scenario.name}/${child}`).fetchHistory());
  }
  await workers.stop();
}

async function recordContinueAsNew(bench: TemporalBench, directory: string): Promise<void> {
  const { activities } = inMemoryRun();
  const workers = await bench.host(activities);
  await activities.worker?.startStage({ run: 'continued', stage: 'rl-search' });
  const handle = await bench.client.workflow.start('rlStage', {
    taskQueue: 'stemma-worker', workflowId: 'continued/rl-search', args: [{ run: 'continued', stage: 'rl-search', steps: 3, paused: false, advancesPerHistory: 2 }],
  });
  await handle.result();
  await save(directory, 'continued.first', await bench.client.workflow.getHandle('continued/rl-search', handle.firstExecutionRunId).fetchHistory());
  await save(directory, 'continued.last', await bench.client.workflow.getHandle('continued/rl-search').fetchHistory());
  await workers.stop();
}

/** As a schedule starts it: the workflow that has a time in its id, and the run that it waits for. */
async function recordScheduled(bench: TemporalBench, directory: string): Promise<void> {
  const workers = await bench.host(inMemoryRun().activities);
  const schedule = await bench.client.schedule.create({
    scheduleId: 'nightly', spec: {},
    action: { type: 'startWorkflow', workflowType: 'scheduledRun', workflowId: 'nightly', taskQueue: 'stemma-worker', args: [{ recipe: 'tiny' }] },
  });
  await schedule.trigger();
  let workflowId = '';
  while (workflowId === '') {
    const [latest] = (await schedule.describe()).info.recentActions;
    if (latest?.action.type === 'startWorkflow') ({ workflowId } = latest.action.workflow);
    else await delay(50);
  }
  const handle = bench.client.workflow.getHandle(workflowId);
  await handle.result();
  await save(directory, 'scheduled.schedule', await handle.fetchHistory());
  await save(directory, 'scheduled.run', await bench.client.workflow.getHandle(workflowId.replaceAll(':', '')).fetchHistory());
  await schedule.delete();
  await workers.stop();
}

/** Without what says on which machine it was recorded. */
async function save(directory: string, name: string, history: History): Promise<void> {
  const json = JSON.stringify(JSON.parse(historyToJSON(history)), (key, value: unknown) => (key === 'stackTrace' ? '' : value));
  // Workers are called <process id>@<host>, and so are their sticky queues.
  await writeFile(join(directory, `${name}.json`), `${json.replace(/\d+@[A-Za-z0-9_.-]+/g, 'worker')}\n`);
}

function gate(): { readonly reached: Promise<void>; pass(): Promise<void>; open(): void } {
  let arrive!: () => void;
  let open!: () => void;
  const reached = new Promise<void>((resolve) => { arrive = resolve; });
  const opened = new Promise<void>((resolve) => { open = resolve; });
  return { reached, open: () => open(), pass: () => { arrive(); return opened; } };
}
