/**
 * Loss aggregation as a weight per token, computed once when the batch is closed and all counts are known,
 * so that the result does not depend on micro-batches, packing or data-parallel splits.
 *
 *   seq-mean-token-mean   w_i = 1 / (N · |R_i|)       N  = samples with |R_i| > 0
 *   token-mean            w_i = 1 / Σ_j |R_j|
 *
 * A sample without trainable tokens gets weight 0 and leaves N. In both modes Σ_i |R_i| · w_i = 1.
 *
 * Source: THUDM/slime:slime/backends/megatron_utils/cp_utils.py::get_sum_of_sample_mean (the first, slime's
 * default and ours: Agents-A1 does not say), verl-project/verl:verl/trainer/ppo/core_algos.py::agg_loss (both).
 */
import type { Aggregation } from '../recipe/recipe.js';

/** The weight of each trainable token of each sample; `trainableTokensPerSample` holds |R_i|. */
export function tokenWeights(trainableTokensPerSample: readonly number[], mode: Aggregation): number[] {
  const tokens = trainableTokensPerSample.reduce((total, count) => total + count, 0);
  const samples = trainableTokensPerSample.filter((count) => count > 0).length;
  return trainableTokensPerSample.map((count) => {
    if (count === 0) return 0;
    return mode === 'token-mean' ? 1 / tokens : 1 / (samples * count);
  });
}
