/**
 * Domain-normalised distillation objective as a weight per token.
 *
 *   L   = 1/|D_B| Σ_{d ∈ D_B} 1/|B_d| Σ_{i ∈ B_d} 1/|R_i| Σ_{t ∈ R_i} ℓ_it
 *   w_i = 1 / (|D_B| · |B_d| · |R_i|),      D_B = {d : |B_d| > 0}
 *
 * Edge rules (ours): a sample with |R_i| = 0 leaves B_d *before* counting (weight 0, not a zero that counts);
 * a domain that is absent, or has only such samples, is not in D_B. Counts span the whole batch.
 *
 * Equation: Agents-A1 (arXiv 2606.30616) §A.6.
 */

export interface DomainSample {
  readonly domain: string;
  /** |R_i| */
  readonly trainableTokens: number;
}

/** The weight of each trainable token of each sample, in order. Σ_i |R_i| · w_i = 1. */
export function domainNormalisedWeights(samples: readonly DomainSample[]): number[] {
  const samplesByDomain = new Map<string, number>();
  for (const { domain, trainableTokens } of samples) {
    if (trainableTokens > 0) samplesByDomain.set(domain, (samplesByDomain.get(domain) ?? 0) + 1);
  }
  return samples.map(({ domain, trainableTokens }) => {
    if (trainableTokens === 0) return 0;
    return 1 / (samplesByDomain.size * (samplesByDomain.get(domain) as number) * trainableTokens);
  });
}
