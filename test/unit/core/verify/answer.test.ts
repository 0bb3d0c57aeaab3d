import { describe, expect, it } from 'vitest';
import { answersMatch, normaliseAnswer, quantityOf } from '../../../../core/verify/answer.js';

describe('normaliseAnswer', () => {
  it.each([
    ['  Amber   Harbor . ', 'amber harbor'], ['1 8 0 km', '180 km'], ['- 1 2', '-12'], ['3 . 5 m/s', '3.5 m/s'], ['2 km 3', '2 km 3'],
  ])('"%s" is "%s"', (text, normalised) => expect(normaliseAnswer(text)).toBe(normalised));
});

describe('answersMatch', () => {
  it.each([['180 km', '1 8 0 km'], ['2 . 5 0 km', '2 . 5 km'], ['AMBER harbor', 'amber harbor'], ['0 7 h', '7 h']])('"%s" is "%s"', (a, b) => expect(answersMatch(a, b)).toBe(true));
  it.each([['180 m', '180 km'], ['18 0 1 km', '180 km'], ['', ''], ['amber harbor mill', 'amber harbor'], ['180', '180 km']])('"%s" is not "%s"', (a, b) => expect(answersMatch(a, b)).toBe(false));
});

describe('quantityOf', () => {
  it('reads number and unit', () => {
    expect(quantityOf('-3.5 m/s')).toEqual({ value: -3.5, unit: 'm/s' });
    expect(quantityOf('7')).toEqual({ value: 7, unit: '' });
    expect(quantityOf('amber 7')).toBeNull();
  });
});
