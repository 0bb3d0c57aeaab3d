/**
 * Clipped policy gradient with clip-higher, and the KL estimators: reference in float64, one token.
 *
 *   ρ  = exp(logp − logp_old)
 *   ℓ  = max(−A·ρ, −A·clip(ρ, 1 − ε_low, 1 + ε_high))
 *   ∂ℓ/∂logp = −A·ρ where the unclipped branch is the maximum, else 0
 *
 *   k1 = logp − ref        k2 = ½ (logp − ref)²        k3 = exp(ref − logp) − (ref − logp) − 1
 *   ∂k3/∂logp = 1 − exp(ref − logp), 0 where the clamp of k3 to 10 is active (from ref − logp ≈ 2.6 on)
 *
 * No dual clip and no clamp of logp − logp_old: slime's defaults. k3's value is unbiased for the KL;
 * its gradient is not the KL's gradient (k2's is).
 *
 * Equations: PPO (arXiv 1707.06347) eq. 7; DAPO (arXiv 2503.14476) for ε_high; k3: Schulman, "Approximating KL divergence".
 * Source: THUDM/slime:slime/utils/ppo_utils.py::compute_policy_loss and ::compute_approx_kl (low_var_kl).
 */

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
  /** The clipped branch is strictly the larger: counted in the clip fraction. */
  readonly clipped: boolean;
}

export function clippedPolicyLoss(token: PolicyToken, clip: ClipRange): ClippedLoss {
  const ratio = Math.exp(token.logprob - token.oldLogprob);
  const unclippedLoss = -token.advantage * ratio;
  const clippedLoss = -token.advantage * Math.min(Math.max(ratio, 1 - clip.clipLow), 1 + clip.clipHigh);
  const clipped = clippedLoss > unclippedLoss;
  return clipped
    ? { loss: clippedLoss, gradient: 0, clipped }
    : { loss: unclippedLoss, gradient: unclippedLoss, clipped };
}

export interface KlEstimate {
  readonly value: number;
  /** With respect to the current log-probability. */
  readonly gradient: number;
}

/** Slime's and verl's clamp of k3, active only upward: k3 ≥ 0. */
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
