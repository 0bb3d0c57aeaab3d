import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { learningRateAt } from '../../../../core/loss/learning-rate.js';
import type { OptimizerRecipe } from '../../../../core/recipe/recipe.js';

const optimizer = (schedule: 'constant' | 'cosine', warmupSteps: number): OptimizerRecipe => ({
  learningRate: 1e-3, schedule, warmupSteps, beta1: 0.9, beta2: 0.98, epsilon: 1e-8, weightDecay: 0.1, maxGradientNorm: 1,
});

describe('learning rate', () => {
  it('warms up linearly, reaches the full rate at the last warm-up step, and stays there when constant', () => {
    const rates = [0, 1, 2, 3, 4, 99].map((step) => learningRateAt(step, 100, optimizer('constant', 4)));
    [0.25, 0.5, 0.75, 1, 1, 1].forEach((share, i) => expect(rates[i]).toBeCloseTo(share * 1e-3, 12));
  });

  it('falls along half a cosine to nothing after the last step', () => {
    const cosine = optimizer('cosine', 0);
    expect(learningRateAt(0, 10, cosine)).toBeCloseTo(1e-3, 12);
    expect(learningRateAt(5, 10, cosine)).toBeCloseTo(5e-4, 12);
    expect(learningRateAt(9, 10, cosine)).toBeGreaterThan(0);
    expect(learningRateAt(10, 10, cosine)).toBeCloseTo(0, 12);
    expect(learningRateAt(50, 10, cosine)).toBeCloseTo(0, 12);
  });

  it('is above 0 on every step of the stage, at most the full rate, and never rises after the warm-up', () => {
    fc.assert(fc.property(
      fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 80 }), fc.constantFrom('constant' as const, 'cosine' as const),
      (totalSteps, warmupSteps, schedule) => {
        const rates = Array.from({ length: totalSteps }, (_, step) => learningRateAt(step, totalSteps, optimizer(schedule, warmupSteps)));
        rates.forEach((rate, step) => {
          expect(rate).toBeGreaterThan(0);
          expect(rate).toBeLessThanOrEqual(1e-3 * (1 + 1e-12));
          if (step > warmupSteps) expect(rate).toBeLessThanOrEqual((rates[step - 1] as number) * (1 + 1e-12));
        });
      },
    ));
  });
});
