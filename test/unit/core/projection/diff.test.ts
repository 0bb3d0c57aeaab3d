import { describe, expect, it } from 'vitest';
import { episodeFold } from '../../../../core/episode/episode.js';
import { foldStream } from '../../../../core/log/fold.js';
import { diffMeanings, episodeMeaning, runMeanings, stageMeanings, type Meaning } from '../../../../core/projection/diff.js';
import { runViewOf } from '../../../../core/projection/run-view.js';
import { closed, committed, dropped, stage, wholeRun, episode, ended, RUN, type Story } from './story.js';

const STAGES = ['sft', 'teacher', 'student'];

function meanings(story: Story): Meaning[] {
  const view = runViewOf(story.events);
  const episodes = [...view.requests].map(([id, [asked]]) => episodeMeaning({ stage: asked!.stage, step: asked!.request.step, episode: id },
    foldStream(episodeFold, story.events.filter(({ event }) => event.stream === episode(id))).state));
  return [...runMeanings(view.run), ...[...view.stages].flatMap(([id, facts]) => stageMeanings(id, facts)), ...episodes];
}
const diff = (a: Story, b: Story) => diffMeanings(STAGES, meanings(a), meanings(b));

describe('the difference of two runs', () => {
  it('is none between a run and the same run, whoever held its claims and how often', () => {
    const other = wholeRun().claim(stage('teacher'), 'planner', 'planner-9').tell(stage('teacher'), dropped('t2', 'uniform-group'), closed(1, ['t0', 't1'])).claim(episode('t0'), 'rollout', 'x');
    expect(diff(wholeRun(), other).firstDivergence).toBeUndefined();
    expect(diff(wholeRun(), wholeRun()).counts.get('episode')).toEqual({ same: 11, different: 0, onlyInFirst: 0, onlyInSecond: 0 });
  });

  it('is named where it first shows in order of stage and step, not of events', () => {
    const other = wholeRun().without((payload, stream) => stream === stage('sft') && payload.$case === 'stepCommitted' && payload.value.step === 2)
      .without((payload, stream) => stream === episode('t1') && payload.$case === 'episodeEnded')
      .tell(episode('t1'), ended('completed', 0.25)).tell(stage('sft'), committed({ step: 2, parent: 'w-sft1', hash: 'w-other' }));
    const { firstDivergence, counts } = diff(wholeRun(), other);
    expect(firstDivergence).toMatchObject({ how: 'different', first: { kind: 'step', stage: 'sft', step: 2 } });
    expect(counts.get('episode')).toMatchObject({ same: 10, different: 1 });
  });

  it.each<[string, (story: Story) => Story, object]>([
    ['a reward', (story) => story.without((payload, stream) => stream === episode('d1') && payload.$case === 'episodeEnded').tell(episode('d1'), ended('completed', 0.5)), { how: 'different', first: { kind: 'episode', key: 'd1', step: 1 } }],
    ['a sampled token', (story) => story.without((payload, stream) => stream === episode('t0') && (payload.$case === 'turnSampled' || payload.$case === 'episodeEnded'))
      .tell(episode('t0'), { $case: 'turnSampled', value: { attempt: 1, tokens: new Uint8Array([1, 0, 0, 0, 2, 0, 0, 0]) } }, ended('completed', 1)), { how: 'different', first: { kind: 'episode', key: 't0' } }],
    ['a drop that is missing', (story) => story.without((payload) => payload.$case === 'episodeDropped' && payload.value.episode === 't5'), { how: 'only in the first', first: { kind: 'drop', key: 't5', step: 1 } }],
    ['a setting', (story) => story.tell(RUN, { $case: 'settingAmended', value: { updateId: 'u', stage: 'student', fromStep: 1, path: 'sva.topK', valueJson: '4' } }), { how: 'only in the second', second: { kind: 'settings', stage: 'student' } }],
    ['members of a batch', (story) => story.without((payload, stream) => stream === stage('teacher') && payload.$case === 'batchClosed').tell(stage('teacher'), closed(1, ['t1', 't0'])), { how: 'different', first: { kind: 'batch', stage: 'teacher' } }],
  ])('sees %s', (_what, change, expected) => {
    expect(diff(wholeRun(), change(wholeRun())).firstDivergence).toMatchObject(expected);
  });
});
