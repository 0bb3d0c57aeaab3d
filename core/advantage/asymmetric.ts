/**
 * Asymmetric advantage: outcome for all, process for the failures only.
 *
 *   A_i = A_out_i + λ_neg · 1[r_out_i = 0] · A_proc_i,      λ_neg = 0.5 in the paper
 *
 * A_out is normalised over the valid samples of the group, A_proc over its valid *negatives* only:
 * a success already satisfies the rubrics, its process reward would count the same signal twice.
 *
 * Edge rules (ours where the paper is silent): invalid samples get 0 and enter no mean; fewer than two
 * valid negatives, or negatives with one process reward, give A_proc = 0; a group of failures has
 * A_out = 0 and A_proc alone teaches, so outcome-only dynamic sampling does not apply here.
 *
 * Equation: Agents-A1 (arXiv 2606.30616) §A.5.4, after PAPO (arXiv 2603.26535), which normalises
 * over the correct responses instead.
 */
import { grpoAdvantages } from './grpo.js';

/** One prompt's group; the arrays are parallel. */
export interface AsymmetricGroup {
  /** 0 or 1. */
  readonly outcomesG: readonly number[];
  /** Share of the rubrics satisfied, 0 to 1. */
  readonly processG: readonly number[];
  /** Completed or truncated, with a reward. */
  readonly validG: readonly boolean[];
}

export interface AsymmetricOptions {
  readonly lambdaNegative: number;
}

export interface AsymmetricParts {
  readonly outcomeAdvantagesG: number[];
  readonly processAdvantagesG: number[];
}

/** The total advantage, one a sample. */
export function asymmetricAdvantages(group: AsymmetricGroup, options: AsymmetricOptions): number[] {
  const { outcomeAdvantagesG, processAdvantagesG } = asymmetricParts(group);
  // processAdvantagesG is 0 off the negatives: the indicator is already in it.
  return outcomeAdvantagesG.map((outcome, i) => outcome + options.lambdaNegative * (processAdvantagesG[i] as number));
}

/** A_out and A_proc apart, for metrics and tests. Throws RangeError where the arrays are not parallel. */
export function asymmetricParts(group: AsymmetricGroup): AsymmetricParts {
  const { outcomesG, processG, validG } = group;
  if (processG.length !== outcomesG.length || validG.length !== outcomesG.length) {
    throw new RangeError(`asymmetric group: ${outcomesG.length} outcomes, ${processG.length} process rewards, ${validG.length} validities`);
  }
  const indices = outcomesG.map((_, i) => i);
  const valid = indices.filter((i) => validG[i]);
  const negative = valid.filter((i) => outcomesG[i] === 0);
  return {
    outcomeAdvantagesG: normalizedOver(valid, outcomesG),
    processAdvantagesG: negative.length < 2 ? outcomesG.map(() => 0) : normalizedOver(negative, processG),
  };
}

/** Normalised over the chosen indices; 0 at all others. */
function normalizedOver(chosen: readonly number[], valuesG: readonly number[]): number[] {
  const result = valuesG.map(() => 0);
  const advantages = grpoAdvantages(chosen.map((i) => valuesG[i] as number), { normalizeByStd: true });
  chosen.forEach((index, j) => { result[index] = advantages[j] as number; });
  return result;
}
