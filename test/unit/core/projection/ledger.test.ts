import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkLedger } from '../../../../core/projection/ledger.js';
import { runViewOf } from '../../../../core/projection/run-view.js';
import { closed, committed, dropped, ended, episode, requested, RUN, stage, started, Story, wholeRun } from './story.js';

const check = (story: Story) => checkLedger(runViewOf(story.events));

describe('ledger', () => {
  it('is clean for a whole run', () => {
    expect(check(wholeRun())).toEqual([]);
  });

  it('is clean at every moment of the run, whatever is still in flight', () => {
    const { events } = wholeRun();
    for (let length = 0; length <= events.length; length++) {
      expect(checkLedger(runViewOf(events.slice(0, length))), `after ${length} events`).toEqual([]);
    }
  });

  it('does not depend on how streams interleave, nor on repeated deliveries', () => {
    const { events } = wholeRun();
    const streams = [...new Set(events.map(({ event }) => event.stream))];
    fc.assert(fc.property(fc.shuffledSubarray(streams, { minLength: streams.length }), fc.array(fc.nat(events.length - 1), { maxLength: 5 }), (order, again) => {
      const shuffled = order.flatMap((stream) => events.filter(({ event }) => event.stream === stream));
      expect(checkLedger(runViewOf([...shuffled, ...again.map((i) => shuffled[i] as (typeof events)[number])]))).toEqual([]);
    }));
  });

  it('names a lost episode', () => {
    const story = wholeRun().without((payload, stream) => stream === episode('t4') && payload.$case === 'episodeEnded');
    expect(check(story)).toEqual(['episode t4 (train, teacher step 1 round 0) was requested and never ended']);
  });

  it('names a lost evaluation episode', () => {
    const story = wholeRun().without((_, stream) => stream === episode('e1'));
    expect(check(story)).toEqual(['episode e1 (evaluate, student step 2 round 0) was requested and never ended']);
  });

  it('names an episode that was trained on twice', () => {
    const story = wholeRun().tell(stage('teacher'), closed(2, ['t0']), committed({ step: 2, parent: 'w-rl1', hash: 'w-rl2' }));
    expect(check(story)).toEqual(['episode t0 was trained on 2 times: in the batch of step 1 of teacher and in the batch of step 2 of teacher']);
  });

  it('names an episode that is in a batch and a dataset, or in a batch that was never committed', () => {
    const story = wholeRun().tell(stage('student'), { $case: 'datasetSealed', value: { dataset: 'more', rows: 1, sourceEpisodes: ['d0'] } });
    expect(check(story)).toEqual(['episode d0 was trained on 2 times: in the batch of step 1 of student and in dataset more of student']);
    const twice = wholeRun().without((payload) => payload.$case === 'runFinished').tell(stage('teacher'), closed(2, ['t1']));
    expect(check(twice)[0]).toContain('episode t1 was trained on 2 times');
  });

  it('names an evaluation episode in a batch, in a dataset, or dropped', () => {
    const inBatch = wholeRun().tell(stage('student'), closed(2, ['e0']), committed({ step: 2, parent: 'w-st1', hash: 'w-st2' }));
    expect(check(inBatch)).toEqual(['evaluation episode e0 was in the batch of step 2 of student; evaluation episodes are in none']);
    const sealed = wholeRun().tell(stage('student'), { $case: 'datasetSealed', value: { dataset: 'x', rows: 1, sourceEpisodes: ['e1'] } });
    expect(check(sealed)[0]).toContain('evaluation episode e1 was in dataset x');
    expect(check(wholeRun().tell(stage('student'), dropped('e1', 'surplus')))[0]).toContain('evaluation episode e1 was dropped');
  });

  it('names a usable episode that left without a reason', () => {
    const story = wholeRun().without((payload) => payload.$case === 'episodeDropped' && payload.value.episode === 't2');
    expect(check(story)).toEqual(['episode t2 (train, teacher step 1 round 0) is usable, yet in no batch and no dataset, and was not dropped']);
    const unnamed = wholeRun().without((payload) => payload.$case === 'episodeDropped' && payload.value.episode === 't2').tell(stage('teacher'), dropped('t2', ''));
    expect(check(unnamed)).toEqual(['teacher dropped episode t2 without a reason']);
  });

  it('accepts an exhausted score as the reason, and the same drop told again by the next claim', () => {
    const story = wholeRun().claim(stage('teacher'), 'planner', 'planner-2').tell(stage('teacher'), dropped('t2', 'uniform-group'));
    expect(check(story)).toEqual([]);
    expect(check(wholeRun().without((payload) => payload.$case === 'scoreFailed'))).toHaveLength(1);
  });

  it('names two reasons, and a drop of what was trained on', () => {
    expect(check(wholeRun().tell(stage('teacher'), dropped('t2', 'surplus'))))
      .toEqual(['episode t2 went 2 ways: dropped by teacher (uniform-group) and dropped by teacher (surplus)']);
    expect(check(wholeRun().tell(stage('teacher'), dropped('t0', 'surplus')))[0]).toContain('episode t0 went 2 ways');
  });

  it('names a failed episode in a batch, and one whose end nobody recorded', () => {
    const failed = wholeRun().tell(stage('teacher'), closed(2, ['t4']), committed({ step: 2, parent: 'w-rl1', hash: 'w-rl2' }));
    expect(check(failed)).toEqual(['episode t4 is failed and was in the batch of step 2 of teacher']);
    const open = wholeRun().without((payload, stream) => stream === episode('t0') && payload.$case === 'episodeEnded');
    expect(check(open)).toContain('episode t0 is not terminal and was in the batch of step 1 of teacher');
  });

  it('names strangers, double requests and double ends', () => {
    const story = wholeRun().tell(episode('ghost'), { $case: 'attemptStarted', value: { attempt: 1 } });
    expect(check(story)).toEqual(['episode ghost ran and was never requested']);
    expect(check(wholeRun().tell(stage('teacher'), dropped('nobody', 'surplus')))).toEqual(['episode nobody was never requested and was dropped by teacher (surplus)']);
    const again = wholeRun().tell(stage('teacher'), requested({ step: 1, round: 1, purpose: 'train', weightsHash: 'w', episodes: ['t0'] }));
    expect(check(again)).toEqual(['episode t0 was requested 2 times: train, teacher step 1 round 0; train, teacher step 1 round 1']);
    expect(check(wholeRun().tell(episode('t0'), ended('failed')))).toEqual(['episode t0 ended 2 times: completed, failed']);
  });

  it('does not count what a zombie wrote', () => {
    const story = wholeRun().claim(episode('t0'), 'rollout', 'rollout-2').write(episode('t0'), ended('failed'), 'rollout-1');
    story.claim(stage('teacher'), 'planner', 'planner-2').write(stage('teacher'), closed(2, ['t0']), 'planner-1');
    expect(check(story)).toEqual([]);
  });

  it('names a missing event of a claim', () => {
    const { events } = wholeRun();
    const lost = events.filter(({ event }) => !(event.stream === stage('sft') && event.payload?.$case === 'stepCommitted' && event.payload.value.step === 1));
    expect(checkLedger(runViewOf(lost))).toEqual(expect.arrayContaining([
      expect.stringContaining('the log of stage sft lacks events before'), 'step 2 of sft was committed without step 1',
    ]));
  });
});

describe('ledger of batches and steps', () => {
  const base = () => new Story().tell(RUN, { $case: 'runCreated', value: { run: 'r' } }, started('sft', 'sft', 'w-base'))
    .tell(stage('sft'), { $case: 'datasetSealed', value: { dataset: 'training', rows: 2 } });

  it('names a row that is in no sealed dataset, and one taken twice in a pass', () => {
    expect(check(base().tell(stage('sft'), closed(1, ['training#2'])))).toEqual(['sft trained on row training#2, which no sealed dataset has']);
    expect(check(base().tell(stage('sft'), closed(1, ['other#0'])))).toEqual(['sft trained on row other#0, which no sealed dataset has']);
    expect(check(base().tell(stage('sft'), closed(1, ['training#0']), closed(2, ['training#0']))))
      .toEqual(['sft trained 2 times on row training#0 in pass 0']);
  });

  it('names a step closed or committed twice, with the wrong batch, or on the wrong state', () => {
    const first = [closed(1, ['training#0']), committed({ step: 1, parent: 'w-base', hash: 'w1' })];
    expect(check(base().tell(stage('sft'), ...first))).toEqual([]);
    expect(check(base().tell(stage('sft'), ...first, closed(1, ['training#1'])))).toEqual(['step 1 of sft closed 2 batches']);
    expect(check(base().tell(stage('sft'), ...first, committed({ step: 1, parent: 'w-base', hash: 'w1' })))).toEqual(['step 1 of sft was committed 2 times']);
    expect(check(base().tell(stage('sft'), ...first, closed(2, ['training#1']), committed({ step: 2, parent: 'w-base', hash: 'w2' }))))
      .toEqual(['step 2 of sft started from a state that is not the end of step 1']);
    expect(check(base().tell(stage('sft'), committed({ step: 1, parent: 'w-base', hash: 'w1' }))))
      .toEqual(['step 1 of sft learned from batch b1, which is not the one it closed']);
  });
});
