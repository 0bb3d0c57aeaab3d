import { describe, expect, it } from 'vitest';
import { checkConstraints, solveList } from '../../../../core/verify/constraints.js';
import type { Constraint } from '../../../../core/verify/constraints.js';

const source = ['lamp', 'bell', 'leaf', 'cup'];
const check = (constraint: Constraint, answer: string, words = source) =>
  checkConstraints({ source: words, constraints: [constraint] }, answer.split(' '))[0];

describe('each constraint passes and fails by its rule', () => {
  it.each<[Constraint, string, string]>([
    [{ kind: 'keep' }, 'lamp bell leaf cup', 'lamp bell leaf'],
    [{ kind: 'reverse' }, 'cup leaf bell lamp', 'lamp bell leaf cup'],
    [{ kind: 'sort' }, 'bell cup lamp leaf', 'bell cup leaf lamp'],
    [{ kind: 'rotate' }, 'bell leaf cup lamp', 'cup lamp bell leaf'],
    [{ kind: 'drop', word: 'leaf' }, 'lamp bell cup', 'lamp leaf'],
    [{ kind: 'letter', letter: 'l' }, 'lamp leaf', 'lamp bell'],
    [{ kind: 'first', count: 2 }, 'lamp bell', 'lamp'],
    [{ kind: 'last', count: 1 }, 'cup', 'leaf cup'],
    [{ kind: 'unique' }, 'lamp bell', 'lamp lamp'],
    [{ kind: 'twice' }, 'lamp bell lamp bell', 'lamp bell lamp'],
    [{ kind: 'start', word: 'rug' }, 'rug lamp', 'lamp rug'],
    [{ kind: 'end', word: 'rug' }, 'lamp rug', 'rug lamp'],
    [{ kind: 'join', symbol: '&' }, 'lamp & bell', 'lamp & bell &'],
    [{ kind: 'mark' }, '* lamp * bell', '* lamp bell'],
    [{ kind: 'count' }, 'lamp bell 2', 'lamp bell 3'],
  ])('%o: "%s", not "%s"', (constraint, pass, fail) => {
    expect(check(constraint, pass)).toBe(true);
    expect(check(constraint, fail)).toBe(false);
  });

  it.each<[Constraint, string]>([
    [{ kind: 'join', symbol: '&' }, 'lamp | bell'], [{ kind: 'mark' }, 'lamp * bell *'], [{ kind: 'count' }, 'lamp 2 bell 2'], [{ kind: 'count' }, '2'],
    [{ kind: 'twice' }, 'lamp bell bell lamp'],
  ])('%o: not "%s"', (constraint, fail) => expect(check(constraint, fail)).toBe(false));
});

describe('composition', () => {
  const constraints: Constraint[] = [{ kind: 'drop', word: 'cup' }, { kind: 'reverse' }, { kind: 'twice' }, { kind: 'start', word: 'rug' }, { kind: 'join', symbol: '~' }];

  it('is solved in slot order and verified one by one', () => {
    const answer = solveList({ source, constraints });
    expect(answer.join(' ')).toBe('rug ~ leaf ~ bell ~ lamp ~ leaf ~ bell ~ lamp');
    expect(checkConstraints({ source, constraints }, answer)).toEqual([true, true, true, true, true]);
  });

  it('names the constraint that fails', () => {
    expect(checkConstraints({ source, constraints }, 'leaf ~ bell ~ lamp ~ leaf ~ bell ~ lamp'.split(' '))).toEqual([true, true, true, false, true]);
    expect(checkConstraints({ source, constraints }, 'rug leaf bell lamp leaf bell lamp'.split(' '))).toEqual([true, true, true, true, false]);
    expect(checkConstraints({ source, constraints }, 'rug ~ lamp ~ bell ~ leaf ~ lamp ~ bell ~ leaf'.split(' '))).toEqual([true, false, true, true, true]);
  });
});
