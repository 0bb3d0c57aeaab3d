import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { coverage, svaLoss } from '../../../../core/loss/sva.js';

const logit = fc.double({ min: -6, max: 6, noNaN: true });
const pairs = fc.array(fc.tuple(logit, logit), { minLength: 2, maxLength: 12 });
const sides = (pair: readonly (readonly [number, number])[], temperature = 1) => ({
  studentK: pair.map(([s]) => s), teacherK: pair.map(([, t]) => t), temperature,
});

describe('SVA', () => {
  it('has the gradient that finite differences give, at any temperature', () => {
    fc.assert(fc.property(pairs, fc.constantFrom(0.5, 1, 2), (pair, temperature) => {
      const position = sides(pair, temperature);
      const { gradientK } = svaLoss(position);
      const h = 1e-5;
      gradientK.forEach((gradient, u) => {
        const moved = (delta: number) => svaLoss({ ...position, studentK: position.studentK.map((z, v) => (v === u ? z + delta : z)) }).loss;
        expect(Math.abs((moved(h) - moved(-h)) / (2 * h) - gradient)).toBeLessThan(1e-7);
      });
    }));
  });

  it('is not moved by a constant on either side', () => {
    fc.assert(fc.property(pairs, logit, logit, (pair, a, b) => {
      const shifted = svaLoss(sides(pair.map(([s, t]) => [s + a, t + b] as const)));
      const plain = svaLoss(sides(pair));
      expect(shifted.loss).toBeCloseTo(plain.loss, 10);
      shifted.gradientK.forEach((g, u) => expect(g).toBeCloseTo(plain.gradientK[u] as number, 10));
    }));
  });

  it('does not depend on the order of S', () => {
    fc.assert(fc.property(pairs, (pair) => {
      const reversed = svaLoss(sides([...pair].reverse()));
      const plain = svaLoss(sides(pair));
      expect(reversed.loss).toBeCloseTo(plain.loss, 10);
      reversed.gradientK.reverse().forEach((g, u) => expect(g).toBeCloseTo(plain.gradientK[u] as number, 10));
    }));
  });

  it('is never negative, and its gradient sums to 0', () => {
    fc.assert(fc.property(pairs, (pair) => {
      const { loss, gradientK } = svaLoss(sides(pair));
      expect(loss).toBeGreaterThan(-1e-12);
      expect(Math.abs(gradientK.reduce((a, b) => a + b, 0))).toBeLessThan(1e-12);
    }));
  });

  it('equals the full reverse KL when S is the whole vocabulary', () => {
    fc.assert(fc.property(pairs, (pair) => {
      const softmax = (z: readonly number[]) => {
        const e = z.map(Math.exp);
        const total = e.reduce((a, b) => a + b, 0);
        return e.map((x) => x / total);
      };
      const p = softmax(pair.map(([s]) => s));
      const q = softmax(pair.map(([, t]) => t));
      const reverseKl = p.reduce((total, pu, u) => total + pu * Math.log(pu / (q[u] as number)), 0);
      expect(svaLoss(sides(pair)).loss).toBeCloseTo(reverseKl, 9);
    }));
  });

  it('is 0 for k = 1, and where student and teacher agree', () => {
    fc.assert(fc.property(logit, logit, pairs, (s, t, pair) => {
      expect(svaLoss({ studentK: [s], teacherK: [t], temperature: 1 })).toMatchObject({ loss: 0 });
      expect(Math.abs(svaLoss({ studentK: [s], teacherK: [t], temperature: 1 }).gradientK[0] as number)).toBe(0);
      const same = svaLoss({ studentK: pair.map(([z]) => z), teacherK: pair.map(([z]) => z + 1), temperature: 1 });
      expect(same.loss).toBeCloseTo(0, 12);
      same.gradientK.forEach((g) => expect(g).toBeCloseTo(0, 12));
    }));
  });

  it('equals the renormalised full softmax: ids outside S do not enter', () => {
    const student = [1, 0.5, -0.25, 2, -1];
    const teacher = [0.2, 3, 1, -1, 0];
    const ids = [1, 2, 0];
    const full = (z: readonly number[]) => {
      const total = z.reduce((sum, x) => sum + Math.exp(x), 0);
      return z.map((x) => Math.exp(x) / total);
    };
    const renormalised = (z: readonly number[]) => {
      const p = full(z);
      const mass = ids.reduce((sum, id) => sum + (p[id] as number), 0);
      return ids.map((id) => (p[id] as number) / mass);
    };
    const p = renormalised(student);
    const q = renormalised(teacher);
    const expected = p.reduce((sum, pu, u) => sum + pu * Math.log(pu / (q[u] as number)), 0);
    const pick = (z: readonly number[]) => ids.map((id) => z[id] as number);
    expect(svaLoss({ studentK: pick(student), teacherK: pick(teacher), temperature: 1 }).loss).toBeCloseTo(expected, 12);
    expect(coverage(student, ids)).toBeCloseTo(ids.reduce((sum, id) => sum + (full(student)[id] as number), 0), 12);
  });

  it('refuses sides that do not match and a temperature that is not positive', () => {
    expect(() => svaLoss({ studentK: [1, 2], teacherK: [1], temperature: 1 })).toThrow(RangeError);
    expect(() => svaLoss({ studentK: [], teacherK: [], temperature: 1 })).toThrow(RangeError);
    expect(() => svaLoss({ studentK: [1], teacherK: [1], temperature: 0 })).toThrow(RangeError);
  });
});
