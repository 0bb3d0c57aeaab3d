/** Steering a live run from another process, through the gateway, Temporal's updates and the log: pause, amend, resume. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cli, startQuickstart, type QuickstartResult } from '../support/quickstart.js';
import { standing, whenStanding } from '../support/stage-watch.js';

const RUN = 'micro-s9-1';
const home = mkdtempSync(join(tmpdir(), 'stemma-control-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

const at = (stage: string): { home: string; run: string; stage: string } => ({ home, run: RUN, stage });
let paused: QuickstartResult;
let amended: QuickstartResult;
let refused: QuickstartResult;
let resumed: QuickstartResult;
let finished: QuickstartResult;

beforeAll(async () => {
  const quickstart = startQuickstart(home, ['--recipe', 'micro', '--seed', '9', '--json']);
  await whenStanding(at('sft'), AbortSignal.timeout(120_000), ({ run }) => run.stages.has('sft'));
  paused = await cli(home, ['pause', RUN]);
  amended = await cli(home, ['amend', RUN, 'distill', 'optimizer.learningRate', '0.0005']);
  refused = await cli(home, ['amend', RUN, 'distill', 'promptsPerDomain', '-3']);
  resumed = await cli(home, ['resume', RUN]);
  finished = await quickstart.ended;
}, 300_000);

describe('steering', () => {
  it('pause and resume are facts in the log', async () => {
    for (const result of [paused, resumed]) expect(result.code, result.stderr).toBe(0);
    const now = await standing(home, RUN, 'distill');
    expect(now?.run.paused).toBe(false);
    expect(now?.run.end?.status).toBe('finished');
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
