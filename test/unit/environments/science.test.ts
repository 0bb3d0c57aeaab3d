import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evaluateExpression } from '../../../environments/science/expression.js';
import { environments, play } from '../../support/environments.js';

const evaluate = (text: string) => {
  const result = evaluateExpression(text.split(' ').filter((word) => word !== ''));
  return result.ok ? result.value : result.problem;
};

describe('the expression evaluator', () => {
  it.each([
    ['7 * 8', '5 6'], ['1 2 + 3', '1 5'], ['2 + 3 * 4', '1 4'], ['( 2 + 3 ) * 4', '2 0'], ['9 - 5 - 3', '1'], ['7 2 / 8', '9'],
    ['7 / 2', '3 . 5'], ['1 / 3', '0 . 3 3'], ['2 / 3', '0 . 6 7'], ['2 - 7', '- 5'], ['- 3 * - 3', '9'], ['1 / 3 * 3', '1'], ['- 1 / 8', '- 0 . 1 3'], ['0 - 0', '0'],
  ])('%s = %s', (text, value) => expect(evaluate(text)).toBe(value));

  it.each([
    ['', 'error empty code'], ['7 *', 'error bad code'], ['* 7', 'error bad code'], ['( 7', 'error bad code'], ['7 )', 'error bad code'], ['km', 'error bad code'],
    ['7 / 0', 'error divide by zero'], ['7 / ( 3 - 3 )', 'error divide by zero'],
    [`${'( '.repeat(20)}1`, 'error code too large'], [`1 ${'+ 1 '.repeat(40)}`, 'error code too large'], ['9 9 9 9 9 9 9 * 9 9 9 9 9 9 9', 'error code too large'],
  ])('refuses "%s": %s', (text, problem) => expect(evaluate(text)).toBe(problem));

  it('agrees with ordinary arithmetic on random expressions', () => {
    const number = fc.integer({ min: 0, max: 99 });
    const { tree } = fc.letrec<{ tree: { text: string; value: number } }>((tie) => ({
      tree: fc.oneof({ maxDepth: 3 },
        number.map((value) => ({ text: [...String(value)].join(' '), value })),
        fc.tuple(tie('tree'), fc.constantFrom('+', '-', '*'), tie('tree')).map(([left, sign, right]) => ({
          text: `( ${left.text} ${sign} ${right.text} )`,
          value: sign === '+' ? left.value + right.value : sign === '-' ? left.value - right.value : left.value * right.value,
        }))),
    }));
    fc.assert(fc.property(tree, ({ text, value }) => {
      const result = evaluate(text);
      if (!result.startsWith('error')) expect(result).toBe([...String(value === 0 ? 0 : value)].join(' '));
    }));
  });

  it('never throws on any words', () => {
    fc.assert(fc.property(fc.array(fc.constantFrom('1', '0', '+', '-', '*', '/', '(', ')', 'km', '.')), (words) => {
      expect(typeof evaluateExpression(words).ok).toBe('boolean');
    }));
  });
});

describe('science', () => {
  const { science } = environments;
  const task = science.task(science.taskId('train', 2, 'grade-1'));

  it('demonstrates with and without the tool, mixed by the prompt', () => {
    expect(science.demonstrate(task, 'tool')[0]).toContain('<call> code ');
    expect(science.demonstrate(task, 'no-tools')[0]).toContain(' = ');
    const mixed = Array.from({ length: 500 }, (_, i) => science.demonstrate(science.task(science.taskId('train', i, '')), 'mixed').length === 2);
    expect(mixed.filter(Boolean).length / 500).toBeCloseTo(0.2, 1);
  });

  it('refuses the tool under the no-tools protocol', () => {
    const call = science.demonstrate(task, 'tool')[0] as string;
    const { transitions, state } = play(science, task, [call], 'no-tools');
    expect(transitions[0]).toMatchObject({ observation: 'error no tool', done: false, record: { verifier: { passed: false } } });
    expect(science.verify(task, state).rounds).toBe(1);
  });

  it('wants number and unit', () => {
    const [value, unit] = [task.answer.split(' ').slice(0, -1).join(' '), task.answer.split(' ').at(-1)];
    const verdict = (answer: string) => science.verify(task, play(science, task, [`<answer> ${answer} </answer>`]).state);
    expect(verdict(task.answer)).toMatchObject({ correct: true, formatOk: true });
    expect(verdict(`${value} . 0 ${unit}`)).toMatchObject({ correct: true, formatOk: true });
    expect(verdict(value)).toMatchObject({ correct: false, formatOk: false });
    expect(verdict(`${value} week`)).toMatchObject({ correct: false, formatOk: true });
    expect(verdict(`${unit}`)).toMatchObject({ correct: false, formatOk: false });
  });
});
