import { describe, expect, it } from 'vitest';
import { foldStream } from '../../../../core/log/fold.js';
import { countedEvents, forkedFrom, isSharedByRun, sharedByStage, stagesBefore } from '../../../../core/run/fork.js';
import { runFold } from '../../../../core/run/run.js';
import { stageFold } from '../../../../core/stage/stage.js';
import { loadRecipe } from '../../../../services/runtime/recipe-schema.js';
import { RUN, Story, closed, committed, dropped, requested, stage, started, wholeRun } from '../projection/story.js';

const eventsOf = (story: Story, stream: string) => story.events.filter(({ event }) => event.stream === stream);
const runOf = (story: Story) => foldStream(runFold, eventsOf(story, RUN)).state;
const stageOf = (story: Story, id: string) => foldStream(stageFold, eventsOf(story, stage(id))).state;
const words = (story: Story, id: string, step: number) => sharedByStage(foldStream(countedEvents, eventsOf(story, stage(id))).state, step)
  .map(({ payload }) => `${payload?.$case}${payload && 'step' in payload.value ? ` ${payload.value.step}` : ''}`);

describe('the fork point', () => {
  it('is the state after the step, where its commit stands', () => {
    const story = wholeRun();
    expect(forkedFrom({ parent: 'r', stage: 'sft', step: 1 }, runOf(story), { stage: stageOf(story, 'sft'), position: 3 }))
      .toEqual({ parentRun: 'r', stage: 'sft', step: 1, stateHash: 's:w-sft1', weightsHash: 'w-sft1', position: 3n });
  });

  it('at step 0 is the model that the stage starts from', () => {
    const story = wholeRun();
    expect(forkedFrom({ parent: 'r', stage: 'student', step: 0 }, runOf(story), { stage: stageOf(story, 'student'), position: 9 }))
      .toMatchObject({ stateHash: '', weightsHash: 'w-sft2', position: 0n });
  });

  it('must have been reached', () => {
    const story = wholeRun();
    expect(() => forkedFrom({ parent: 'r', stage: 'sft', step: 3 }, runOf(story), { stage: stageOf(story, 'sft'), position: 0 })).toThrow(/committed 2/);
    expect(() => forkedFrom({ parent: 'r', stage: 'later', step: 0 }, runOf(story), { stage: stageOf(story, 'later'), position: 0 })).toThrow(/not started stage later/);
  });
});

describe('what a fork shares', () => {
  it('of the run: its creation, its amendments, stages before the forked one and the start of that one', async () => {
    const { stages } = await loadRecipe('micro');
    const before = new Set(stagesBefore(stages, 'science-sft1'));
    expect([...before]).toEqual(['sft', 'search-rl']);
    const story = new Story().tell(RUN,
      { $case: 'runCreated', value: { run: 'r' } }, started('sft', 'sft', 'w'), { $case: 'stageFinished', value: { stage: 'sft' } }, { $case: 'runPaused', value: { updateId: 'p' } },
      { $case: 'settingAmended', value: { updateId: 'a', stage: 'distill', fromStep: 1 } }, started('science-sft1', 'sft', 'w'), { $case: 'stageFinished', value: { stage: 'science-sft1' } },
      started('science-sft2', 'sft', 'w'), { $case: 'evaluationFinished', value: { stage: 'sft' } }, { $case: 'runFinished', value: { weightsHash: 'w' } });
    const shared = story.events.filter(({ event }) => event.payload && isSharedByRun(event.payload, { parent: 'r', stage: 'science-sft1', step: 1 }, before));
    expect(shared.map(({ event }) => event.payload?.$case)).toEqual(['runCreated', 'stageStarted', 'stageFinished', 'settingAmended', 'stageStarted', 'evaluationFinished']);
  });

  it('of the forked stage: steps up to the shared one, and nothing that was in flight', () => {
    const story = new Story().tell(stage('x'),
      requested({ step: 0, purpose: 'dataset', weightsHash: 'w', episodes: ['d0', 'd1'] }), dropped('d1', 'incorrect'), { $case: 'datasetSealed', value: { dataset: 'training', rows: 1, sourceEpisodes: ['d0'] } },
      requested({ step: 1, purpose: 'train', weightsHash: 'w', episodes: ['a', 'b'] }), dropped('b', 'surplus'), closed(1, ['a']), closed(2, ['training#0']),
      committed({ step: 1, parent: 'w', hash: 'w1' }), { $case: 'snapshotTaken', value: { step: 1 } },
      requested({ step: 2, purpose: 'train', weightsHash: 'w1', episodes: ['c'] }), dropped('c', 'surplus'), committed({ step: 2, parent: 'w1', hash: 'w2' }),
      { $case: 'policyPublished', value: { step: 2 } }, requested({ step: 3, purpose: 'evaluate', weightsHash: 'w2', episodes: ['e'] }));
    expect(words(story, 'x', 1)).toEqual(['episodesRequested 0', 'episodeDropped', 'datasetSealed', 'episodesRequested 1', 'episodeDropped', 'batchClosed 1', 'stepCommitted 1', 'snapshotTaken 1']);
    expect(words(story, 'x', 2)).not.toContain('episodesRequested 3');
    expect(words(story, 'x', 2)).toContain('policyPublished 2');
  });

  it('nothing that a zombie wrote', () => {
    const story = new Story().tell(stage('x'), closed(1, ['training#0'])).claim(stage('x'), 'planner', 'planner-2').write(stage('x'), closed(1, ['training#1']), 'planner-1');
    expect(words(story, 'x', 1)).toEqual(['batchClosed 1']);
  });
});
