import { describe, expect, it } from 'vitest';
import { groupOutcomes, isInformative, selectGroups, withoutUnscored, type Group, type Outcome } from '../../../../core/stage/groups.js';

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

  it('lose members without a score, and go where fewer than two are left', () => {
    const groups = groupOutcomes(['a', 'b', 'c'].flatMap((task) => [0, 1, 2].map((sample) => outcome(task, sample, sample === 0))));
    const unscored = new Set(['a.1', 'b.0', 'b.2', 'c.0', 'c.1', 'c.2']);
    const { groups: left, dropped } = withoutUnscored(groups, ({ request }) => !unscored.has(request.episode));
    expect(left.map(({ members }) => members.map(({ request }) => request.episode))).toEqual([['a.0', 'a.2']]);
    expect(dropped).toEqual([
      { episode: 'a.1', reason: 'score-failed' }, { episode: 'b.0', reason: 'score-failed' }, { episode: 'b.2', reason: 'score-failed' },
      { episode: 'b.1', reason: 'too-few-valid' },
      { episode: 'c.0', reason: 'score-failed' }, { episode: 'c.1', reason: 'score-failed' }, { episode: 'c.2', reason: 'score-failed' },
    ]);
  });
});
