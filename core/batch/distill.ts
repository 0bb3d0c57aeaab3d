/** Multi-teacher on-policy distillation: SVA terms under the domain-normalised objective (paper eq. 6–8). */
import { domainNormalisedWeights } from '../loss/domain-normalised.js';
import type { DistillStageRecipe } from '../recipe/recipe.js';
import { assembleBatch, trainableTokens, weightStream, type ClosedBatch, type Trainable } from './batch.js';

export interface DistillMember extends Trainable {
  readonly reward: number;
  /** The routed teacher's scores of the generated positions: a row of a ScoreTable blob. */
  readonly scoreBlobSha256: string;
  readonly scoreRow: number;
}

export function closeDistillBatch(members: readonly DistillMember[], stage: DistillStageRecipe): ClosedBatch {
  const counts = members.map(trainableTokens);
  const weights = domainNormalisedWeights(members.map((m, i) => ({ domain: m.domain, trainableTokens: counts[i] ?? 0 })));
  const batch = assembleBatch(members.map((sample, i) => ({
    sample,
    terms: [{
      weights: weightStream(sample.mask, weights[i] ?? 0),
      kind: {
        $case: 'salientVocabulary',
        value: {
          topK: stage.sva.topK, temperature: stage.sva.temperature,
          scoreBlobSha256: sample.scoreBlobSha256, scoreRow: sample.scoreRow,
        },
      },
    }],
  })), stage.packing);
  return {
    batch,
    members: members.map((m, i) => ({
      member: m.member, pass: 0, domain: m.domain, reward: m.reward, advantage: 0, trainableTokens: counts[i] ?? 0,
    })),
  };
}
