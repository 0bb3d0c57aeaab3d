/** Steering a live run from another process, through the gateway, Temporal's updates and the log: pause, amend, resume. */
import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { newHome } from '../support/homes.js';
import { listeningOf, reachableFromElsewhere } from '../support/listening.js';
import { cli, descendants, startQuickstart, type QuickstartResult } from '../support/quickstart.js';
import { askGateway, type GatewayAnswers } from '../support/gateway.js';
import { platformMetrics } from '../support/every-metric.js';
import { scrapeUntil, sumOf } from '../support/scrape.js';
import { runEvents, standing, whenStanding } from '../support/stage-watch.js';
import { findDoor } from '../../services/runtime/door-file.js';

const RUN = 'micro-s9-1';
/** Or, weight changes inside a turn, in a mode that this run does not use; or on a GPU. */
const ONLY_IN_TROUBLE = [
  'stemma_blob_errors_total', 'stemma_log_errors_total', 'stemma_log_ignored_events_total', 'stemma_rollout_aborted_attempts_total',
  'stemma_rollout_weight_changes_total', 'stemma_run_failed', 'stemma_sidecar_device_memory_free_bytes', 'stemma_sidecar_device_memory_size_bytes', 'stemma_sidecar_device_utilization_ratio', 'stemma_tls_certificate_not_after_timestamp_seconds', 'stemma_tls_certificate_not_before_timestamp_seconds',
  'stemma_tls_refused_files_total', 'stemma_tls_refused_peers_total', 'stemma_training_replayed_steps_total',
];
/** A queue may be empty at each look, and the last stage over before the next one. */
const BY_CHANCE = new Set(['stemma_grpc_open_requests', 'stemma_log_waiting_appends', 'stemma_log_waiting_reads', 'stemma_run_accuracy_ratio', 'stemma_run_unsaved_steps', 'stemma_run_unsaved_seconds',
  'stemma_rollout_running_episodes', 'stemma_learning_owed_episodes',
  'stemma_sidecar_active_slots', 'stemma_sidecar_waiting', 'stemma_sidecar_sva_micro_batches_total', 'stemma_sidecar_top_k_blocks_total']);
const home = newHome();

const at = (stage: string): { home: string; run: string; stage: string } => ({ home, run: RUN, stage });
let paused: QuickstartResult;
let amended: QuickstartResult;
let refused: QuickstartResult;
let resumed: QuickstartResult;
let finished: QuickstartResult;
let gateway: GatewayAnswers;
let pages: readonly string[];
let stranger: Response;
let listening: readonly string[];

beforeAll(async () => {
  const quickstart = startQuickstart(home, ['--recipe', 'micro', '--seed', '9', '--json']);
  await whenStanding(at('sft'), AbortSignal.timeout(120_000), ({ run }) => run.stages.has('sft'));
  paused = await cli(home, ['pause', RUN]);
  const door = await findDoor(home);
  const token = readFileSync(join(home, 'gateway.token'), 'utf8').trim();
  gateway = await askGateway({ address: door?.gateway ?? '', token, run: RUN });
  stranger = await fetch(`${door?.http ?? ''}/stemma.v1.ControlService/ControlRun`, { method: 'POST', body: JSON.stringify({ run: RUN, action: 'stop' }) });
  listening = listeningOf([quickstart.pid(), ...descendants(quickstart.pid())]);
  amended = await cli(home, ['amend', RUN, 'distill', 'optimizer.learningRate', '0.0005']);
  refused = await cli(home, ['amend', RUN, 'distill', 'promptsPerDomain', '-3']);
  resumed = await cli(home, ['resume', RUN]);
  pages = await scrapeUntil(quickstart.ended, /http:\S+\/metrics/.exec(quickstart.stderr())?.[0] ?? '');
  finished = await quickstart.ended;
}, 300_000);

describe('steering', () => {
  it('pause and resume are facts in the log', async () => {
    for (const result of [paused, resumed]) expect(result.code, result.stderr).toBe(0);
    const now = await standing(home, RUN, 'distill');
    expect(now?.run.paused).toBe(false);
    expect(now?.run.end?.status).toBe('finished');
  });

  it('who asked is a fact too; without a key nobody is heard', async () => {
    expect(stranger.status).toBe(401);
    const events = await runEvents(home, RUN);
    const who = { by: userInfo().username, origin: '127.0.0.1' };
    expect(events.filter(({ $case }) => /^run(Paused|Resumed|StopRequested)|settingAmended/.test($case)).map(({ value }) => value)).toMatchObject([who, who, who]);
    expect(events.find(({ $case }) => $case === 'runCreated')?.value).toMatchObject({ by: userInfo().username, origin: 'local' });
  });

  it('an amendment says from which step it holds, and holds from there', async () => {
    expect(amended.code, amended.stderr).toBe(0);
    expect(amended.stdout + amended.stderr).toContain('From step 1 of distill on');
    const { stage } = await whenStanding(at('distill'), AbortSignal.timeout(5000), () => true);
    for (const step of [1, 2]) {
      expect(JSON.parse(stage.committed[step - 1]?.closed?.settingsJson ?? '{}')).toMatchObject({ learningRate: 0.0005 });
    }
  });

  it('an amendment that no recipe could have is refused with the reason', async () => {
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain('promptsPerDomain');
    expect((await standing(home, RUN, 'distill'))?.run.amendments).toHaveLength(1);
  });

  it('the run ends as any other, and its time paused is waiting, not orchestration', async () => {
    expect(finished.code, finished.stderr).toBe(0);
    const { seconds } = JSON.parse(finished.stdout) as { seconds: { waiting: number } };
    expect(seconds.waiting).toBeGreaterThan(0);
    const verified = await cli(home, ['verify', RUN]);
    expect(verified.code, verified.stdout).toBe(0);
  });
});

describe('a running platform', () => {
  it('listens on loopback alone: gateway, figures, Temporal and its UI, teacher scoring, the sidecar', () => {
    expect(listening.length).toBeGreaterThanOrEqual(7);
    expect(reachableFromElsewhere(listening)).toEqual([]);
  });
});

describe('what a running platform answers', () => {
  it('GetRun and ListRuns: the progress of the run; one that is not there is NOT_FOUND', () => {
    expect(gateway.run).toMatchObject({ run: RUN, recipe: 'micro', status: 'paused' });
    expect(gateway.runs).toMatchObject([{ run: RUN, status: 'paused' }]);
    expect(gateway.unknownRun).toMatchObject({ code: 'NOT_FOUND', message: expect.stringContaining('nothing') as string });
  });

  it('WatchRun: every event from the start in order, then live; from a cursor those after it', async () => {
    expect(gateway.events.slice(0, 2)).toEqual(['runCreated', 'stageStarted']);
    expect(gateway.events.at(-1)).toBe('runPaused');
    const after = await gateway.untilResumed;
    expect(after.at(-1)).toBe('runResumed');
    expect(after).not.toContain('runCreated');
  });

  it('/metrics: each family of docs/metrics.md is there, and moves unless nothing went wrong', async () => {
    const last = pages.at(-1) ?? '';
    const families = await platformMetrics();
    expect(families.filter(({ name }) => !last.includes(`# TYPE ${name} `))).toEqual([]);
    const still = families.map(({ name }) => name).filter((name) => pages.every((page) => sumOf(page, name) === 0));
    expect(still.filter((name) => !BY_CHANCE.has(name)).sort()).toEqual(ONLY_IN_TROUBLE);
    const undocumented = [...last.matchAll(/^# TYPE (stemma_\w+)/gm)].map(([, name]) => name).filter((name) => !families.some((family) => family.name === name));
    expect(undocumented).toEqual([]);
  });

  it('log lines say run and stage', () => {
    const lines = readFileSync(join(home, 'stemma.jsonl'), 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line) as { msg: string });
    for (const stage of ['sft', 'search-rl', 'distill']) expect(lines).toContainEqual(expect.objectContaining({ msg: 'stage finished', run: RUN, stage, service: 'all-in-one' }));
  });
});
