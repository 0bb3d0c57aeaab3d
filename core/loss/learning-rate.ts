/**
 * Learning rate of a step: linear warm-up, then constant or a cosine to 0.
 *
 *   warm-up    lr · (s + 1) / warmupSteps                    s < warmupSteps
 *   constant   lr
 *   cosine     lr · ½ (1 + cos(π · (s − warmup)/(total − warmup)))
 *
 * The first step is not wasted on a rate of 0 (transformers' warm-up starts at 0), and the last is above 0.
 *
 * Source: huggingface/transformers:src/transformers/optimization.py::get_cosine_schedule_with_warmup,
 * shifted by one step in the warm-up. Agents-A1 §A.4: cosine, warm-up ratio 0.05.
 */
import type { OptimizerRecipe } from '../recipe/recipe.js';

/** `stepIndex` counts from 0; steps at or beyond `totalSteps` stay at the schedule's end. */
export function learningRateAt(stepIndex: number, totalSteps: number, optimizer: OptimizerRecipe): number {
  const { learningRate, schedule, warmupSteps } = optimizer;
  if (stepIndex < warmupSteps) return (learningRate * (stepIndex + 1)) / warmupSteps;
  if (schedule === 'constant') return learningRate;
  const progress = Math.min(1, (stepIndex - warmupSteps) / Math.max(1, totalSteps - warmupSteps));
  return learningRate * 0.5 * (1 + Math.cos(Math.PI * progress));
}
