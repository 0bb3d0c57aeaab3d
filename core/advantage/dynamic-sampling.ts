/**
 * Dynamic sampling: a group whose metric is the same for every sample has no advantage and is replaced.
 *
 *   keep the group  ⇔  max(metric) ≠ min(metric)
 *
 * Filter on correctness rather than on the reward: small penalties make almost every reward group
 * non-uniform and the filter inert. A group of one is not uniform: it keeps its reward (grpo.ts).
 * Not for the asymmetric advantage: there a group of failures still teaches (asymmetric.ts).
 *
 * Equation: DAPO (arXiv 2503.14476) eq. 11, Agents-A1 §A.5.3.
 * Source: verl-recipe dapo/dapo_ray_trainer.py (keep if std > 0 or one sample),
 * THUDM/slime:slime/rollout/filter_hub/dynamic_sampling_filters.py (std > 1e-6).
 */

/** True where the group's metric carries no signal. `metricG`: one value a valid sample of one prompt. */
export function isUniform(metricG: readonly number[]): boolean {
  if (metricG.length === 1) return false;
  return metricG.every((value) => value === metricG[0]);
}
