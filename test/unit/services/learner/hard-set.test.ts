import { describe, expect, it } from 'vitest';
import { initialEpisode } from '../../../../core/episode/episode.js';
import { trajectoryOf } from '../../../../core/episode/trajectory.js';
import { hardTasks } from '../../../../services/learner/hard-set.js';
import type { Finished } from '../../../../services/training/requests.js';

const episode = (task: string, correct: boolean, rubrics: readonly boolean[], status: Finished['status'] = 'completed'): Finished => ({
  request: { episode: `${task}-${rubrics.length}-${String(correct)}`, domain: 'tools', task, sample: 0, seed: 1n },
  state: { ...initialEpisode(), rubrics }, trajectory: trajectoryOf(initialEpisode()), status, correct, reward: Number(correct),
});
const settings = { source: 'hard-set', size: 2, candidates: 4, samplesPerTask: 2, minRubrics: 0.75 } as const;

describe('the hard set', () => {
  it('prefers tasks with near misses, most first, then tasks with any failure', () => {
    const finished = [
      episode('solved', true, [true, true, true, true]), episode('solved', true, [true, true, true, true]),
      episode('hopeless', false, [false, false, false, true]), episode('hopeless', false, [false, false, false, false]),
      episode('near', false, [true, true, true, false]), episode('near', true, [true, true, true, true]),
      episode('nearer', false, [true, true, true, false]), episode('nearer', false, [true, true, false, true]),
    ];
    expect(hardTasks(finished, settings)).toEqual(['nearer', 'near']);
    expect(hardTasks(finished, { ...settings, size: 4 })).toEqual(['nearer', 'near', 'hopeless', 'solved']);
  });

  it('does not take an infrastructure failure for the model\'s', () => {
    expect(hardTasks([episode('broken', false, [true, true, true, true], 'failed'), episode('near', false, [true, true, true, true])], { ...settings, size: 1 })).toEqual(['near']);
  });
});
