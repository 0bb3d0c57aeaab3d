/** RL: group advantages broadcast over generated tokens, clipped policy gradient with k3 KL and entropy (docs/algorithms.md). */
import { asymmetricAdvantages } from '../advantage/asymmetric.js';
import { grpoAdvantages } from '../advantage/grpo.js';
import { packF32 } from '../log/bytes.js';
import { tokenWeights } from '../loss/aggregate.js';
import { IMPORTANCE_CAP } from '../loss/policy-gradient.js';
import type { RlStageRecipe } from '../recipe/recipe.js';
import type { LossTerm } from '../../proto/gen/stemma/v1/data.js';
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
  /** u8[L]: 1 where the token is staler than its stage allows, and is weighted in the place of clipped. Absent where none is. */
  readonly stale?: Uint8Array | undefined;
}

/** `groups`: members of one prompt in sample order. */
export function closeRlBatch(groups: readonly (readonly RlMember[])[], stage: RlStageRecipe): ClosedBatch {
  const members = groups.flat();
  const advantages = groups.flatMap((group) => groupAdvantages(group, stage));
  const counts = members.map(trainableTokens);
  const weights = tokenWeights(counts, stage.aggregation);
  const batch = assembleBatch(members.map((sample, i) => ({
    sample,
    terms: policyTerms(sample, stage, { weight: weights[i] ?? 0, advantage: advantages[i] ?? 0 }),
  })), stage.packing);
  return {
    batch,
    members: members.map((m, i) => ({
      member: m.member, pass: 0, domain: m.domain, reward: m.reward, advantage: advantages[i] ?? 0, trainableTokens: counts[i] ?? 0,
    })),
  };
}

/** One term; a second one for stale tokens. A token has weight in one of them. */
function policyTerms(sample: RlMember, stage: RlStageRecipe, { weight, advantage }: { readonly weight: number; readonly advantage: number }): LossTerm[] {
  const term = (mask: Uint8Array, importanceCap?: number): LossTerm => ({
    weights: weightStream(mask, weight),
    kind: {
      $case: 'policyGradient',
      value: {
        advantages: weightStream(sample.mask, advantage),
        oldLogprobs: packF32(sample.logprobs),
        referenceLogprobs: packF32(sample.referenceLogprobs),
        clipLow: stage.clipLow, clipHigh: stage.clipHigh,
        klCoefficient: stage.klCoefficient, entropyCoefficient: stage.entropyCoefficient,
        ...(importanceCap === undefined ? {} : { importanceCap }),
      },
    },
  });
  const { mask, stale } = sample;
  if (stale === undefined) return [term(mask)];
  const cap = stage.asynchronous?.importanceCap ?? IMPORTANCE_CAP;
  const fresh = mask.map((generated, t) => generated * (1 - (stale[t] ?? 0)));
  return [...(fresh.some(Boolean) ? [term(fresh)] : []), term(mask.map((generated, t) => generated * (stale[t] ?? 0)), cap)];
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
