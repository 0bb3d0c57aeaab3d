import { describe, expect, it } from 'vitest';
import { answerUnder, dependsOnBoth, drawContext } from '../../../environments/instruction/context-task.js';
import { drawList } from '../../../environments/instruction/list-task.js';
import { randomOf } from '../../../environments/random.js';
import { readInstructionSettings } from '../../../environments/instruction/settings.js';
import { environments, play } from '../../support/environments.js';

describe('context tasks', () => {
  it('the rule flips the answer, and without the document there is none', () => {
    const kinds = new Set<string>();
    for (let i = 0; i < 300; i++) {
      const task = drawContext(randomOf('context', i), 3);
      kinds.add(task.rule.kind);
      expect(answerUnder(task.facts, task.person, task.rule)).toBe(task.answer);
      expect(answerUnder(task.facts, task.person, null)).not.toBe(task.answer);
      expect(answerUnder([], task.person, task.rule)).toBeNull();
    }
    expect([...kinds].sort()).toEqual(['alias', 'next', 'substitute']);
  });

  it('rejects a rule that does not matter', () => {
    const facts = [{ person: 'bram', good: 'lamp' }, { person: 'otto', good: 'bell' }];
    expect(dependsOnBoth(facts, 'bram', { kind: 'alias', from: 'otto', to: 'bram' })).toBe(false);
    expect(dependsOnBoth(facts, 'bram', { kind: 'substitute', pairs: [['bell', 'cup']] })).toBe(false);
    expect(dependsOnBoth(facts, 'otto', { kind: 'next' })).toBe(false);
    expect(dependsOnBoth(facts, 'bram', { kind: 'next' })).toBe(true);
  });
});

describe('list tasks', () => {
  it('use at least ten kinds of constraint, each slot at most once', () => {
    const kinds = new Set<string>();
    for (let i = 0; i < 600; i++) {
      const { list } = drawList(randomOf('list', i), 1 + (i % 3), { ...readInstructionSettings({}), minWords: 3, maxWords: 5, listWords: 24 });
      for (const constraint of list.constraints) kinds.add(constraint.kind);
    }
    expect(kinds.size).toBeGreaterThanOrEqual(10);
    expect(kinds.size).toBe(15);
  });

  it('state only the kinds a recipe chooses, of which it must choose ten', () => {
    const kinds = ['first', 'last', 'unique', 'reverse', 'rotate', 'twice', 'start', 'end', 'join', 'mark'];
    const shape = readInstructionSettings({ kinds });
    for (let i = 0; i < 200; i++) {
      const { list } = drawList(randomOf('chosen', i), 1 + (i % 3), shape);
      for (const { kind } of list.constraints) expect([...kinds, 'keep']).toContain(kind);
    }
    expect(() => readInstructionSettings({ kinds: kinds.slice(1) })).toThrow(/at least 10/);
    expect(() => readInstructionSettings({ kinds: [...kinds.slice(1), 'last'] })).toThrow(/each once/);
    expect(() => readInstructionSettings({ kinds: [...kinds, 'sing'] })).toThrow(/sing/);
  });

  it('grade by constraint', () => {
    const { instruction } = environments;
    const index = Array.from({ length: 200 }, (_, i) => i).find((i) => instruction.task(instruction.taskId('train', i, 'rules-2')).prompt[0]!.content.includes('start '))!;
    const task = instruction.task(instruction.taskId('train', index, 'rules-2'));
    const verdict = instruction.verify(task, play(instruction, task, [`<answer> ${task.answer.split(' ').slice(1).join(' ')} </answer>`]).state);
    expect(verdict.correct).toBe(false);
    expect(verdict.fraction).toBeGreaterThan(0);
    expect(verdict.fraction).toBeLessThan(1);
  });
});
