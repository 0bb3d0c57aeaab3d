/** RL: group advantages broadcast over generated tokens, clipped policy gradient with k3 KL and entropy (docs/algorithms.md). */
import { asymmetricAdvantages } from '../advantage/asymmetric.js';
import { grpoAdvantages } from '../advantage/grpo.js';
import { packF32 } from '../log/bytes.js';
import { tokenWeights } from '../loss/aggregate.js';
import type { RlStageRecipe } from '../recipe/recipe.js';
import { assembleBatch, trainableTokens, weightStream, type ClosedBatch, type Trainable } from './batch.js';

export interface RlMember extends Trainable {
  readonly reward: number;
  readonly correct: boolean;
  /** Share of process rubrics satisfied, 0…1. */
  readonly process: number;
  /** [L], the sampler's log-probabilities at generated positions, 0 elsewhere. */
  readonly logprobs: Float32Array;
  /** [L], the reference model's; empty when the KL coefficient is 0. */
  readonly referenceLogprobs: Float32Array;
}

/** `groups`: members of one prompt in sample order. */
export function closeRlBatch(groups: readonly (readonly RlMember[])[], stage: RlStageRecipe): ClosedBatch {
  const members = groups.flat();
  const advantages = groups.flatMap((group) => groupAdvantages(group, stage));
  const counts = members.map(trainableTokens);
  const weights = tokenWeights(counts, stage.aggregation);
  const batch = assembleBatch(members.map((sample, i) => ({
    sample,
    terms: [{
      weights: weightStream(sample.mask, weights[i] ?? 0),
      kind: {
        $case: 'policyGradient',
        value: {
          advantages: weightStream(sample.mask, advantages[i] ?? 0),
          oldLogprobs: packF32(sample.logprobs),
          referenceLogprobs: packF32(sample.referenceLogprobs),
          clipLow: stage.clipLow, clipHigh: stage.clipHigh,
          klCoefficient: stage.klCoefficient, entropyCoefficient: stage.entropyCoefficient,
        },
      },
    }],
  })), stage.packing);
  return {
    batch,
    members: members.map((m, i) => ({
      member: m.member, pass: 0, domain: m.domain, reward: m.reward, advantage: advantages[i] ?? 0, trainableTokens: counts[i] ?? 0,
    })),
  };
}

function groupAdvantages(group: readonly RlMember[], stage: RlStageRecipe): number[] {
  if (stage.advantage.kind === 'grpo') {
    return grpoAdvantages(group.map((m) => m.reward), { normalizeByStd: stage.advantage.normalizeByStd });
  }
  return asymmetricAdvantages({
    outcomesG: group.map((m) => Number(m.correct)),
    processG: group.map((m) => m.process),
    validG: group.map(() => true),
  }, { lambdaNegative: stage.advantage.lambdaNegative });
}
