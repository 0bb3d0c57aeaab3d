import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pathText, problemOf } from '../../../../core/recipe/problems.js';
import { referenceProblems, stageGraphOf } from '../../../../core/recipe/references.js';

const problems = (stages: unknown[], teachers: unknown = {}) => referenceProblems(stageGraphOf({ stages, teachers }));

describe('referenceProblems', () => {
  it('accepts what refers to base and earlier stages', () => {
    expect(problems([
      { id: 'sft', init: 'base' }, { id: 'rl', init: 'sft', reference: 'sft' }, { id: 'self', init: 'rl', dataset: { model: 'sft' } },
      { id: 'distill', kind: 'distill', init: 'sft' },
    ], { search: 'rl', science: 'none', instruction: 'self', tools: 'rl' })).toEqual([]);
  });

  it('finds duplicate and reserved ids', () => {
    expect(problems([{ id: 'a', init: 'base' }, { id: 'a', init: 'base' }, { id: 'base', init: 'base' }]).map(({ path, reason }) => [path, reason.slice(0, 16)]))
      .toEqual([['stages[1].id', "'a' is already t"], ['stages[2].id', "'base' is a rese"]]);
  });

  it('finds cycles through every kind of reference', () => {
    for (const reference of [{ init: 'b' }, { init: 'base', reference: 'b' }, { init: 'base', dataset: { model: 'b' } }]) {
      const found = problems([{ id: 'a', ...reference }, { id: 'b', init: 'a' }]);
      expect(found).toEqual([{ path: 'stages[0]', reason: expect.stringContaining('a → b → a') as string }]);
    }
    expect(problems([{ id: 'a', init: 'a' }])[0]?.reason).toContain('a → a');
    expect(problems([{ id: 'd', kind: 'distill', init: 'base' }, { id: 't', init: 'd' }], { search: 't' })[0]?.reason).toContain('d → t → d');
  });

  it('says that a teacher comes after the distillation it should teach', () => {
    expect(problems([{ id: 'd', kind: 'distill', init: 'base' }, { id: 't', init: 'base' }], { search: 't' })).toEqual([
      { path: 'teachers.search', reason: expect.stringContaining('comes later') as string },
    ]);
  });

  it('never throws, whatever it is given, and is silent only about an acyclic, backward graph', () => {
    fc.assert(fc.property(fc.anything(), (raw) => { referenceProblems(stageGraphOf(raw)); }));
    const id = fc.constantFrom('a', 'b', 'c', 'd');
    const stage = fc.record({ id, init: fc.oneof(id, fc.constant('base')) });
    fc.assert(fc.property(fc.array(stage, { maxLength: 5 }), (stages) => {
      const isSound = stages.every(({ id: own, init }, index) =>
        stages.findIndex((each) => each.id === own) === index && (init === 'base' || stages.slice(0, index).some((each) => each.id === init)));
      expect(problems(stages).length === 0).toBe(isSound);
    }));
  });
});

describe('problems', () => {
  it('writes paths as people do and reads others\' sentences', () => {
    expect(pathText(['stages', 2, 'sva', 'topK'])).toBe('stages[2].sva.topK');
    expect(problemOf('rewards.science.correct: must be: above 0')).toEqual({ path: 'rewards.science.correct', reason: 'must be: above 0' });
    expect(problemOf('no path here at all')).toEqual({ path: '', reason: 'no path here at all' });
  });
});
