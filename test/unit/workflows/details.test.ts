/** What the pages of the Temporal UI say, as Markdown. */
import { describe, expect, it } from 'vitest';
import type { StagePlan } from '../../../workflows/activities.js';
import { exampleAmendment, rowsOf, runPage, stageLines, stagePage, updatesHelp, type RunPage } from '../../../workflows/details.js';

const STAGES: readonly StagePlan[] = [
  { id: 'sft', kind: 'sft', evaluate: true, steps: 700, reached: { step: 700, finished: true, figures: { loss: 0.2459, accuracy: 0.571 } } },
  { id: 'search-rl', kind: 'rl', domain: 'search', evaluate: true, steps: 60, reached: { step: 35, finished: false, figures: { reward: 0.937, loss: -0.01 } } },
  { id: 'distill', kind: 'distill', evaluate: true, steps: 120 },
];

function page(change: Partial<RunPage> = {}): RunPage {
  const rows = rowsOf(STAGES);
  rows[1]!.state = 'running';
  return { run: 'tiny-s3-1', recipe: 'tiny', seed: 3, status: 'running', reason: '', weightsHash: '', rows, amendments: [], ...change };
}

describe('the page of a run', () => {
  it('says where it is, has a row a stage, and what can be typed', () => {
    expect(runPage(page())).toBe([
      'Run `tiny-s3-1` (recipe tiny, seed 3) is **running**, stage **search-rl** (2 of 3).',
      ['|  | stage | state | step | newest figures |', '|---|---|---|---|---|',
        '| ✓ | sft | finished | 700\u00a0of\u00a0700 | loss 0.2459, accuracy 0.571 |',
        '| ▸ | search-rl | running | 35\u00a0of\u00a060 | reward 0.937, loss -0.0100 |',
        '|  | distill | waiting | 0\u00a0of\u00a0120 |  |'].join('\n'),
      'To steer: More Actions → Send an Update.', '`pause`, `stop`: no input.', '`amend`: `{"stage":"distill","path":"optimizer.learningRate","value":0.0002}`',
      '\u00a0', '\u00a0', '\u00a0',
    ].join('\n\n'));
  });

  it('a paused run offers resume; an ended one nothing, but why it ended or what it made', () => {
    expect(runPage(page({ status: 'paused' }))).toContain('`resume`, `stop`: no input');
    const failed = runPage(page({ status: 'failed', reason: 'step 1 diverged.\n Compare the devices.' }));
    expect(failed).toContain('\n\n> step 1 diverged. Compare the devices.');
    expect(failed).not.toContain('To steer');
    expect(runPage(page({ status: 'finished', weightsHash: 'sha256:ab' }))).toContain('Weights `sha256:ab`');
  });

  it('shows the newest five amendments', () => {
    const amendments = Array.from({ length: 7 }, (_, i) => ({ stage: 'distill', path: 'sva.topK', value: i, fromStep: i + 1 }));
    const text = runPage(page({ amendments }));
    expect(text).toContain('`distill sva.topK` = `6` from step 7 on.\n\n2 more before them.');
    expect(text).not.toContain('= `1`');
  });

  it('before the run is open there is no table', () => {
    expect(runPage(page({ status: 'opening', recipe: '', rows: [] }))).toMatch(/^Run `tiny-s3-1` is \*\*opening\*\*\.\n\nTo steer/);
  });
});

describe('what can be asked', () => {
  it('a line a stage', () => {
    expect(stageLines(page().rows)).toEqual({
      sft: 'finished, step 700 of 700, loss 0.2459, accuracy 0.571', 'search-rl': 'running, step 35 of 60, reward 0.937, loss -0.0100', distill: 'waiting, step 0 of 120',
    });
  });

  it('the input of each update, for a stage that an amendment can still reach', () => {
    expect(JSON.parse(updatesHelp(page().rows)['amend']!)).toEqual({ stage: 'distill', path: 'optimizer.learningRate', value: 0.0002 });
    expect(exampleAmendment(page().rows.slice(0, 2)).stage).toBe('search-rl');
  });
});

it('the page of a stage says whom to steer', () => {
  expect(stagePage({ run: 'r', id: 'search-rl', doing: 'paused', step: 3, steps: 60, figures: { reward: 0.5 } }))
    .toBe('Stage **search-rl** is paused: step 3 of 60, reward 0.500.\n\nA stage is steered through its run: send updates to workflow `r`.');
});
