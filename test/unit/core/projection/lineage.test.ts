import { describe, expect, it } from 'vitest';
import { lineageOfEpisode } from '../../../../core/projection/episode-lineage.js';
import { lineageOfPrompt } from '../../../../core/projection/prompt-lineage.js';
import { findWeights, lineageOfWeights, madeBy } from '../../../../core/projection/lineage.js';
import { runViewOf } from '../../../../core/projection/run-view.js';
import { closed, committed, ended, episode, finished, requested, RUN, stage, started, wholeRun } from './story.js';

const view = runViewOf(wholeRun().events);

describe('lineage of weights', () => {
  it('goes from the student back over its batches, episodes, tasks and teacher to the base', () => {
    const lineage = lineageOfWeights(view, 'w-st1');
    expect(lineage?.baseWeightsHash).toBe('w-base');
    expect(lineage?.stages.map(({ stage: id, steps, parentWeightsHash }) => [id, steps.length, parentWeightsHash]))
      .toEqual([['student', 1, 'w-sft2'], ['sft', 2, 'w-base']]);
    const student = lineage?.stages[0];
    expect(student?.teachers).toEqual([{ domain: 'search', weightsHash: 'w-rl1', madeBy: { stage: 'teacher', step: 1 } }]);
    expect(student?.steps[0]).toMatchObject({ step: 1, batchId: 'b1', batchSha256: 'blob-1', weightsHash: 'w-st1' });
    expect(student?.steps[0]?.members[0]).toEqual({
      member: 'd0', episode: 'd0', domain: 'search', task: 'task-0', policyWeightsHash: 'w-sft2', teacherWeightsHash: 'w-rl1',
      reward: 1, advantage: 0.5, trainableTokens: 10,
    });
    // Rows made by code have no trajectory behind them.
    expect(lineage?.stages[1]?.steps[1]?.members[0]).toMatchObject({ member: 'training#2', episode: undefined, task: undefined });
  });

  it('stops at the step asked for', () => {
    expect(lineageOfWeights(view, 'w-sft1')?.stages.map(({ steps }) => steps.map(({ step }) => step))).toEqual([[1]]);
    expect(lineageOfWeights(view, 'w-base')).toEqual({ weightsHash: 'w-base', stages: [], baseWeightsHash: 'w-base' });
    expect(lineageOfWeights(view, 'w-unknown')).toBeUndefined();
  });

  it('finds weights by the start of their hash', () => {
    expect(findWeights(view, 'sha256:w-s')).toEqual(['w-sft2', 'w-sft1', 'w-st1']);
    expect(madeBy(view, 'w-rl1')).toEqual({ stage: 'teacher', step: 1 });
    expect(madeBy(view, 'w-base')).toBeUndefined();
  });

  it('ends where a step left the weights as they were', () => {
    const story = wholeRun().tell(RUN, started('still', 'sft', 'w-other')).tell(stage('still'), closed(1, []), committed({ step: 1, parent: 'w-other', hash: 'w-other' }));
    expect(lineageOfWeights(runViewOf(story.events), 'w-other')).toEqual({ weightsHash: 'w-other', stages: [], baseWeightsHash: 'w-other' });
  });
});

describe('lineage of an episode', () => {
  it('goes forward to the batch, the weights and all that descend from them', () => {
    expect(lineageOfEpisode(view, 't0')).toMatchObject({
      stage: 'teacher', step: 1, purpose: 'train', domain: 'search', task: 'task-0', sample: 0,
      policyWeightsHash: 'w-sft2', policyMadeBy: { stage: 'sft', step: 2 }, status: 'completed', reward: 1, droppedReason: undefined,
      uses: [{ stage: 'teacher', step: 1, batchId: 'b1', member: 't0', weightsHash: 'w-rl1' }],
      descendants: [{ stage: 'teacher', through: 'batch', weightsHash: 'w-rl1' }, { stage: 'student', through: 'teacher', weightsHash: 'w-st1' }],
    });
  });

  it('tells who scored it, and why it was dropped', () => {
    expect(lineageOfEpisode(view, 'd0')?.scores).toEqual([{ purpose: 'teacher', scorerWeightsHash: 'w-rl1', madeBy: { stage: 'teacher', step: 1 } }]);
    expect(lineageOfEpisode(view, 't2')).toMatchObject({ droppedReason: 'uniform-group', uses: [], descendants: [] });
    expect(lineageOfEpisode(view, 'e0')).toMatchObject({ purpose: 'evaluate', uses: [] });
    expect(lineageOfEpisode(view, 'nobody')).toBeUndefined();
  });

  it('follows an episode through the dataset that it became a row of', () => {
    const story = wholeRun().tell(RUN, started('science', 'sft', 'w-sft2'))
      .tell(stage('science'), requested({ step: 0, purpose: 'dataset', weightsHash: 'w-sft2', episodes: ['k0', 'k1'] }))
      .tell(episode('k0'), ended('completed', 1)).tell(episode('k1'), ended('completed', 1))
      .tell(stage('science'), { $case: 'datasetSealed', value: { dataset: 'training', rows: 2, sourceEpisodes: ['k0', 'k1'] } },
        closed(1, ['training#1']), committed({ step: 1, parent: 'w-sft2', hash: 'w-k1' }))
      .tell(RUN, finished('science', 'w-k1', 1), started('science-2', 'sft', 'w-k1'));
    const grown = runViewOf(story.events);
    expect(lineageOfEpisode(grown, 'k1')).toMatchObject({
      datasets: [{ stage: 'science', dataset: 'training', row: 1 }],
      uses: [{ stage: 'science', step: 1, member: 'training#1', weightsHash: 'w-k1' }],
      descendants: [{ stage: 'science', through: 'batch' }, { stage: 'science-2', through: 'init', weightsHash: undefined }],
    });
    expect(lineageOfWeights(grown, 'w-k1')?.stages[0]?.steps[0]?.members[0]).toMatchObject({ member: 'training#1', episode: 'k1', task: 'task-0', policyWeightsHash: 'w-sft2' });
  });
});

describe('lineage of a prompt', () => {
  it('goes forward over all its episodes to every stage that has a part of it, each once', () => {
    const lineage = lineageOfPrompt(view, 'task-0');
    expect(lineage?.episodes.map(({ episode: id }) => id)).toEqual(expect.arrayContaining(['t0', 't1', 'd0', 'd1']));
    expect(lineage?.episodes.flatMap(({ episode: id, uses }) => uses.map((use) => [id, use.stage, use.weightsHash]))).toEqual(expect.arrayContaining([['t0', 'teacher', 'w-rl1'], ['d0', 'student', 'w-st1']]));
    expect(lineage?.descendants).toEqual([{ stage: 'teacher', through: 'batch', weightsHash: 'w-rl1' }, { stage: 'student', through: 'batch', weightsHash: 'w-st1' }]);
  });

  it('agrees with the way back: whatever weights name the prompt, the prompt names', () => {
    const back = lineageOfWeights(view, 'w-st1')?.stages.flatMap(({ steps }) => steps.flatMap(({ members, weightsHash }) => members.map(({ task, episode: id }) => ({ task, id, weightsHash })))) ?? [];
    const members = back.filter(({ task }) => task !== undefined);
    expect(members.length).toBeGreaterThan(0);
    for (const { task, id, weightsHash } of members) {
      const uses = lineageOfPrompt(view, task!)?.episodes.filter(({ episode: name }) => name === id).flatMap((each) => each.uses);
      expect(uses?.map((use) => use.weightsHash)).toContain(weightsHash);
    }
  });

  it('is nothing where nobody asked for it, and no weights where no batch took it', () => {
    expect(lineageOfPrompt(view, 'task-99')).toBeUndefined();
    expect(lineageOfPrompt(view, 'task-1')?.episodes.find(({ episode: id }) => id === 't2')).toMatchObject({ droppedReason: 'uniform-group' });
  });
});
