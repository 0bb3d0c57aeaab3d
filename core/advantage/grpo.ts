/**
 * Group-relative advantage.
 *
 *   A_i = (r_i − mean(r)) / (std(r) + 1e-6)      std unbiased (n − 1)
 *
 * `normalizeByStd: false` leaves the division out (Dr. GRPO). Edge rules, those of the sources:
 * a group of one keeps its reward (mean 0, std 1); a uniform group gives exactly 0.
 *
 * Equation: DeepSeekMath (arXiv 2402.03300) eq. 3, Agents-A1 §A.5.1.
 * Source: verl-project/verl:verl/trainer/ppo/core_algos.py::compute_grpo_outcome_advantage,
 * THUDM/slime:slime/ray/rollout.py::_post_process_rewards (the same unbiased std and 1e-6).
 */
import { isUniform } from './dynamic-sampling.js';

export interface GrpoOptions {
  readonly normalizeByStd: boolean;
}

/** Keeps the division finite; the value of verl and slime. */
export const STD_EPSILON = 1e-6;

/** `rewardsG`: one reward a sample of one prompt; the result has the same order and length. */
export function grpoAdvantages(rewardsG: readonly number[], options: GrpoOptions): number[] {
  if (rewardsG.length <= 1) return [...rewardsG];
  // Not left to arithmetic: the mean of [0.1, 0.1, 0.1] is not 0.1.
  if (isUniform(rewardsG)) return rewardsG.map(() => 0);
  const mean = sum(rewardsG) / rewardsG.length;
  const centeredG = rewardsG.map((reward) => reward - mean);
  if (!options.normalizeByStd) return centeredG;
  const variance = sum(centeredG.map((x) => x * x)) / (rewardsG.length - 1);
  const scale = Math.sqrt(variance) + STD_EPSILON;
  return centeredG.map((x) => x / scale);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
