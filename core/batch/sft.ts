/** SFT: cross-entropy on response tokens only (paper §3.1 stage 1). */
import { tokenWeights } from '../loss/aggregate.js';
import type { SftStageRecipe } from '../recipe/recipe.js';
import { assembleBatch, trainableTokens, weightStream, type ClosedBatch, type Trainable } from './batch.js';

export interface SftMember extends Trainable {
  /** Which pass over the data. */
  readonly pass: number;
}

export function closeSftBatch(members: readonly SftMember[], stage: SftStageRecipe): ClosedBatch {
  const counts = members.map(trainableTokens);
  const weights = tokenWeights(counts, stage.aggregation);
  const batch = assembleBatch(members.map((sample, i) => ({
    sample,
    terms: [{ weights: weightStream(sample.mask, weights[i] ?? 0), kind: { $case: 'crossEntropy', value: {} } }],
  })), stage.packing);
  return {
    batch,
    members: members.map((m, i) => ({
      member: m.member, pass: m.pass, domain: m.domain, reward: 0, advantage: 0, trainableTokens: counts[i] ?? 0,
    })),
  };
}
