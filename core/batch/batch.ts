/**
 * Closing a batch: members in order become samples with per-token streams and weights, and a row plan.
 * The trainer sums weight · loss and knows nothing else, so all normalisation happens here, once,
 * when every count is known.
 */
import type { Batch, LossTerm, Sample } from '../../proto/gen/stemma/v1/data.js';
import type { BatchMember } from '../../proto/gen/stemma/v1/events.js';
import { packF32, packU32 } from '../log/bytes.js';
import { planRows } from '../loss/row-plan.js';
import type { PackingRecipe } from '../recipe/recipe.js';

/** A token sequence and which of its tokens are learned from. */
export interface Trainable {
  readonly member: string;
  readonly domain: string;
  /** [L] */
  readonly tokens: Uint32Array;
  /** [L], 1 where the token was generated (or demonstrated) by the policy. */
  readonly mask: Uint8Array;
}

export interface ClosedBatch {
  readonly batch: Batch;
  readonly members: BatchMember[];
}

/** Σ mask: |R_i|, the trainable tokens of a sample. Position 0 has no predecessor and never trains. */
export function trainableTokens(sample: Trainable): number {
  let count = 0;
  for (let t = 1; t < sample.mask.length; t++) count += sample.mask[t] ?? 0;
  return count;
}

/** w[t] = weight where the mask is set, else 0; w[0] = 0. */
export function weightStream(mask: Uint8Array, weight: number): Uint8Array {
  const weights = new Float32Array(mask.length);
  for (let t = 1; t < mask.length; t++) weights[t] = mask[t] === 1 ? weight : 0;
  return packF32(weights);
}

export function assembleBatch(samples: readonly { readonly sample: Trainable; readonly terms: LossTerm[] }[], packing: PackingRecipe): Batch {
  const rows = planRows(samples.map((s) => s.sample.tokens.length), packing.rowTokens);
  return {
    samples: samples.map(({ sample, terms }): Sample => ({ member: sample.member, tokens: packU32(sample.tokens), terms })),
    rows: rows.map((indices) => ({ samples: indices })),
    rowsPerMicroBatch: packing.rowsPerMicroBatch,
  };
}
