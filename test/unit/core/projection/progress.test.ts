import { describe, expect, it } from 'vitest';
import { curvesOf } from '../../../../core/projection/curves.js';
import { watchedStageFold } from '../../../../core/projection/facts.js';
import { progressOf } from '../../../../core/projection/progress.js';
import { parseStream, runViewFeed, runViewOf } from '../../../../core/projection/run-view.js';
import { closed, committed, ended, episode, requested, RUN, stage, started, Story, wholeRun } from './story.js';

const plan = [
  { id: 'sft', kind: 'sft', steps: 2 }, { id: 'teacher', kind: 'rl', steps: 1 }, { id: 'student', kind: 'distill', steps: 1 },
];

describe('progress', () => {
  it('of a finished run: stages, accuracy and seconds', () => {
    const progress = progressOf(runViewOf(wholeRun().events), plan);
    expect(progress).toMatchObject({ run: 'r', recipe: 'micro', seed: 7n, status: 'finished', detail: '', now: 'finished' });
    expect(progress.stages.map(({ stage: id, kind, status, step, steps, reward, loss }) => ({ id, kind, status, step, steps, reward, loss }))).toEqual([
      { id: 'sft', kind: 'sft', status: 'finished', step: 2, steps: 2, reward: undefined, loss: 0.5 },
      { id: 'teacher', kind: 'rl', status: 'finished', step: 1, steps: 1, reward: 0.6, loss: 0.5 },
      { id: 'student', kind: 'distill', status: 'finished', step: 1, steps: 1, reward: 1, loss: undefined },
    ]);
    expect(progress.stages[1]?.episodes).toEqual({ requested: 6, completed: 4, truncated: 1, failed: 1, owed: 0, generatedTokens: 60 });
    expect(progress.accuracy).toEqual([{ stage: 'student', weightsHash: 'w-st1', accuracyByDomain: new Map([['search', 0.5]]), mean: 0.5 }]);
    // Two SFT steps, one teacher's and one student's step at 2 s, and 1 s of evaluation.
    expect(progress.spent).toEqual({ wallSeconds: 9, computeSeconds: 5, waitingSeconds: 2, orchestrationSeconds: 2 });
  });

  it('says what is going on at each moment', () => {
    const story = new Story();
    const now = () => progressOf(runViewOf(story.events), plan);
    expect(now()).toMatchObject({ status: 'submitted', now: 'submitted' });
    story.tell(RUN, { $case: 'runCreated', value: { run: 'r' } }, started('teacher', 'rl', 'w'));
    expect(now()).toMatchObject({ status: 'running', now: 'teacher: step 1, preparing' });
    expect(now().stages.map(({ status }) => status)).toEqual(['planned', 'running', 'planned']);
    story.tell(stage('teacher'), requested({ step: 0, purpose: 'dataset', weightsHash: 'w', episodes: ['a'] }));
    expect(now().now).toBe('teacher: making its dataset, 0 of 1 episodes ended');
    story.tell(episode('a'), ended('completed'));
    story.tell(stage('teacher'), requested({ step: 1, purpose: 'train', weightsHash: 'w', episodes: ['b', 'c'] }), requested({ step: 1, round: 1, purpose: 'train', weightsHash: 'w', episodes: ['d'] }));
    story.tell(episode('b'), ended('completed'));
    expect(now().now).toBe('teacher: step 1, 1 of 3 episodes ended');
    story.tell(stage('teacher'), closed(1, ['b', 'c']));
    expect(now().now).toBe('teacher: step 1, learning');
    story.tell(stage('teacher'), committed({ step: 1, parent: 'w', hash: 'w1' }));
    story.tell(RUN, { $case: 'stageFinished', value: { stage: 'teacher', result: { weightsHash: 'w1' }, steps: 1 } });
    expect(now().now).toBe('between stages');
    story.tell(stage('teacher'), requested({ step: 2, purpose: 'evaluate', weightsHash: 'w1', episodes: ['e'] }));
    expect(now().now).toBe('teacher: evaluation, 0 of 1 episodes ended');
  });

  it('shows how a run is steered and how it ended', () => {
    const story = new Story().tell(RUN, { $case: 'runCreated', value: { run: 'r' } }, started('sft', 'sft', 'w'));
    const status = () => progressOf(runViewOf(story.events)).status;
    story.tell(RUN, { $case: 'runPaused', value: { updateId: '1' } });
    expect(status()).toBe('paused');
    story.tell(RUN, { $case: 'runResumed', value: { updateId: '2' } });
    expect(status()).toBe('running');
    story.tell(RUN, { $case: 'runStopRequested', value: { updateId: '3' } });
    expect(status()).toBe('stopping');
    story.tell(RUN, { $case: 'runStopped', value: { reason: 'asked to' } });
    expect(progressOf(runViewOf(story.events))).toMatchObject({ status: 'stopped', detail: 'asked to' });
    expect(progressOf(runViewOf(new Story().tell(RUN, { $case: 'runFailed', value: { message: 'no teacher' } }).events)))
      .toMatchObject({ status: 'failed', detail: 'no teacher' });
  });

  it('grows with a tail to what one read of everything gives', () => {
    const { events } = wholeRun();
    const feed = runViewFeed();
    for (let from = 0; from < events.length; from += 7) {
      // At least once: each chunk repeats the last event of the one before.
      feed.add(events.slice(Math.max(0, from - 1), from + 7));
      feed.view();
    }
    const { ignored, ...view } = feed.view();
    const { ignored: ignoredAtOnce, ...viewAtOnce } = runViewOf(events);
    expect(view).toEqual(viewAtOnce);
    // Chunks after the first.
    expect(ignored.duplicates - ignoredAtOnce.duplicates).toBe(Math.ceil(events.length / 7) - 1);
  });

  it('is the same from a view that lets go of which episodes past steps were made of', () => {
    const events = wholeRun().events.filter(({ event }) => !event.stream.startsWith('episode/'));
    const [watched, whole] = [runViewFeed(watchedStageFold), runViewFeed()];
    for (const event of events) {
      for (const feed of [watched, whole]) feed.add([event]);
      expect(progressOf(watched.view(), plan)).toEqual(progressOf(whole.view(), plan));
      expect(curvesOf(watched.view())).toEqual(curvesOf(whole.view()));
    }
    const facts = [...watched.view().stages.values()];
    expect(facts.flatMap(({ closed: batches }) => batches.flatMap(({ members }) => members))).toEqual([]);
    expect(facts.flatMap(({ requested: requests }) => requests.filter(({ purpose }) => purpose === 'train')).flatMap(({ episodes }) => episodes.map(({ task }) => task)).join('')).toBe('');
  });

  it('reads stream names', () => {
    expect(parseStream('run/r')).toEqual({ kind: 'run', id: 'r' });
    expect(parseStream('stage/r/teacher-search')).toEqual({ kind: 'stage', id: 'teacher-search' });
    expect(parseStream('episode/r/s.1.0.2.3')).toEqual({ kind: 'episode', id: 's.1.0.2.3' });
    expect(parseStream('elsewhere')).toEqual({ kind: 'other', id: 'elsewhere' });
  });
});

describe('curves', () => {
  it('keep each figure as sum and count, by stage and step', () => {
    const [sft, teacher, student] = curvesOf(runViewOf(wholeRun().events));
    expect(sft?.steps.map(({ step, loss }) => [step, loss])).toEqual([[1, 2], [2, 0.5]]);
    expect(teacher?.steps[0]?.stats.get('reward')).toEqual({ sum: 3, count: 5 });
    expect(teacher?.steps[0]?.episodes).toEqual({ requested: 6, completed: 4, truncated: 1, failed: 1, owed: 0, generatedTokens: 60 });
    expect(student?.steps[0]?.coverageByDomain).toEqual(new Map([['search', 0.9]]));
    expect(student?.steps[0]?.episodes.requested).toBe(3);
  });

  it('count a step once, although a zombie or a second claim committed it again', () => {
    const story = wholeRun();
    const once = curvesOf(runViewOf(story.events));
    const stats = [{ name: 'loss', sum: 100, count: 1 }];
    story.claim(stage('sft'), 'planner', 'planner-2')
      .write(stage('sft'), committed({ step: 3, parent: 'w-sft2', hash: 'w-zombie', stats }), 'planner-1')
      .tell(stage('sft'), committed({ step: 2, parent: 'w-sft1', hash: 'w-sft2', stats }));
    expect(curvesOf(runViewOf(story.events))).toEqual(once);
  });

  it('add figures of one name, and have no mean without observations', () => {
    const story = new Story().tell(RUN, started('s', 'sft', 'w')).tell(stage('s'), closed(1, []), committed({
      step: 1, parent: 'w', hash: 'w1',
      stats: [{ name: 'loss', sum: 1, count: 1 }, { name: 'loss', sum: 3, count: 1 }, { name: 'reward', sum: 0, count: 0 }],
    }));
    expect(curvesOf(runViewOf(story.events))[0]?.steps[0]).toMatchObject({ loss: 2, reward: undefined });
  });
});
