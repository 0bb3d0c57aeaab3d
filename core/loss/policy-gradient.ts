/**
 * Clipped policy gradient with clip-higher, and the KL estimators: reference in float64, one token.
 *
 *   ρ  = exp(clamp(logp − logp_old, ±20))
 *   ℓ  = max(−A·ρ, −A·clip(ρ, 1 − ε_low, 1 + ε_high))
 *   ∂ℓ/∂logp = −A·ρ where the unclipped branch is the maximum and the clamp inactive, else 0
 *
 *   k1 = logp − ref        k2 = ½ (logp − ref)²        k3 = exp(ref − logp) − (ref − logp) − 1
 *   ∂k3/∂logp = 1 − exp(ref − logp), 0 where the clamp of k3 to 10 is active (ref − logp above 2.6 or below −11)
 *
 * No dual clip (slime's default); verl's clamp of the log-ratio keeps the ratio finite where a negative advantage
 * leaves it unclipped. k3's value is unbiased for the KL; its gradient is not the KL's gradient (k2's is).
 *
 * Equations: PPO (arXiv 1707.06347) eq. 7; DAPO (arXiv 2503.14476) for ε_high; k3: Schulman, "Approximating KL divergence".
 * Source: verl-project/verl:verl/trainer/ppo/core_algos.py::compute_policy_loss_vanilla,
 * THUDM/slime:slime/utils/ppo_utils.py::compute_policy_loss and ::compute_approx_kl (low_var_kl).
 */

/** verl's clamp of logp − logp_old. */
export const LOG_RATIO_CLAMP = 20;

export interface PolicyToken {
  /** Current policy. */
  readonly logprob: number;
  /** Policy that sampled the token. */
  readonly oldLogprob: number;
  readonly advantage: number;
}

export interface ClipRange {
  /** ε_low and ε_high; 0.2 and 0.28 in the paper. */
  readonly clipLow: number;
  readonly clipHigh: number;
}

export interface ClippedLoss {
  readonly loss: number;
  /** With respect to the current log-probability. */
  readonly gradient: number;
  /** The clipped branch is strictly the larger, or the weight was truncated: counted in the clip fraction. */
  readonly clipped: boolean;
}

export function clippedPolicyLoss(token: PolicyToken, clip: ClipRange): ClippedLoss {
  const logRatio = token.logprob - token.oldLogprob;
  const ratio = Math.exp(clamp(logRatio, -LOG_RATIO_CLAMP, LOG_RATIO_CLAMP));
  const unclippedLoss = -token.advantage * ratio;
  const clippedLoss = -token.advantage * clamp(ratio, 1 - clip.clipLow, 1 + clip.clipHigh);
  const clipped = clippedLoss > unclippedLoss;
  const flat = clipped || Math.abs(logRatio) > LOG_RATIO_CLAMP;
  return { loss: Math.max(unclippedLoss, clippedLoss), gradient: flat ? 0 : unclippedLoss, clipped };
}

/** Slime's --tis-clip. */
export const IMPORTANCE_CAP = 2;

/**
 * Truncated importance weighting, for tokens too stale to clip: the ratio corrects for the weights that sampled the token, cut at C
 * so that one token cannot carry a step, and with no gradient of its own.
 *
 *   ℓ = −A · sg(min(ρ, C)) · logp        ∂ℓ/∂logp = −A · min(ρ, C)
 *
 * Where clipping stops a token (its ratio left the range), this goes on learning from it at bounded weight.
 *
 * Equations: V-trace's ρ̄ (arXiv 1802.01561 §4.1); CISPO (arXiv 2506.13585 eq. 4–5).
 * Source: THUDM/slime --tis-clip (C = 2).
 */
export function truncatedPolicyLoss(token: PolicyToken, cap: number): ClippedLoss {
  const ratio = Math.exp(clamp(token.logprob - token.oldLogprob, -LOG_RATIO_CLAMP, LOG_RATIO_CLAMP));
  const gradient = -token.advantage * Math.min(ratio, cap);
  return { loss: gradient * token.logprob, gradient, clipped: ratio > cap };
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}

export interface KlEstimate {
  readonly value: number;
  /** With respect to the current log-probability. */
  readonly gradient: number;
}

/** Slime's and verl's clamp of k3. */
export const K3_CLAMP = 10;

export function k1(logprob: number, referenceLogprob: number): KlEstimate {
  return { value: logprob - referenceLogprob, gradient: 1 };
}

export function k2(logprob: number, referenceLogprob: number): KlEstimate {
  const difference = logprob - referenceLogprob;
  return { value: 0.5 * difference * difference, gradient: difference };
}

export function k3(logprob: number, referenceLogprob: number): KlEstimate {
  const difference = referenceLogprob - logprob;
  const value = Math.exp(difference) - difference - 1;
  return value > K3_CLAMP ? { value: K3_CLAMP, gradient: 0 } : { value, gradient: 1 - Math.exp(difference) };
}
