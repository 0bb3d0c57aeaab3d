import { describe, expect, it } from 'vitest';
import { groupOutcomes, isInformative, selectGroups, type Group, type Outcome } from '../../../../core/stage/groups.js';

const outcome = (task: string, sample: number, correct: boolean, status: Outcome['status'] = 'completed'): Outcome => ({
  request: { episode: `${task}.${sample}`, domain: 'search', task, sample, seed: 0n }, status, correct, reward: Number(correct),
});
const informative = (group: Group<Outcome>): boolean => isInformative(group, 'correct');
const mixed = (task: string): Outcome[] => [outcome(task, 0, true), outcome(task, 1, false)];
const uniform = (task: string): Outcome[] => [outcome(task, 0, true), outcome(task, 1, true)];

describe('groups', () => {
  it('hold valid members in sample order, groups in request order', () => {
    const groups = groupOutcomes([outcome('b', 1, true), outcome('a', 0, true), outcome('b', 0, false), outcome('a', 1, true, 'failed'), outcome('a', 2, false, 'truncated')]);
    expect(groups.map((g) => [g.task, g.members.map((m) => m.request.sample)])).toEqual([['b', [0, 1]], ['a', [0, 2]]]);
  });

  it('are chosen by index among the informative; the rest is dropped with its reason', () => {
    const groups = groupOutcomes([...uniform('u'), ...mixed('m1'), outcome('lost', 0, true), outcome('lost', 1, false, 'failed'), ...mixed('m2'), ...mixed('m3')]);
    const { groups: chosen, dropped } = selectGroups(groups, 2, informative);
    expect(chosen.map((g) => g.task)).toEqual(['m1', 'm2']);
    expect(dropped).toEqual([
      { episode: 'u.0', reason: 'uniform-group' }, { episode: 'u.1', reason: 'uniform-group' },
      { episode: 'lost.0', reason: 'too-few-valid' },
      { episode: 'm3.0', reason: 'surplus' }, { episode: 'm3.1', reason: 'surplus' },
    ]);
  });

  it('are all kept where none is informative, so that the step still exists', () => {
    const { groups: chosen, dropped } = selectGroups(groupOutcomes([...uniform('u1'), ...uniform('u2')]), 2, informative);
    expect(chosen.map((g) => g.task)).toEqual(['u1', 'u2']);
    expect(dropped).toEqual([]);
  });
});
