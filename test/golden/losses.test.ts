/** Every number of losses.json (float64, computed with numpy) to 1e-9. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { asymmetricAdvantages, asymmetricParts } from '../../core/advantage/asymmetric.js';
import { grpoAdvantages } from '../../core/advantage/grpo.js';
import { domainNormalisedWeights } from '../../core/loss/domain-normalised.js';
import { clippedPolicyLoss, k1, k2, k3, truncatedPolicyLoss } from '../../core/loss/policy-gradient.js';
import { svaLoss } from '../../core/loss/sva.js';

interface Golden {
  readonly grpo: readonly { rewards: number[]; advantages: number[]; without_std: number[] }[];
  readonly asymmetric: readonly {
    r_out: number[]; r_proc: number[]; valid: boolean[]; a_out: number[]; a_proc: number[]; advantage: number[];
  }[];
  readonly sva: readonly { student_logits: number[]; teacher_logits: number[]; p: number[]; q: number[]; loss: number; grad: number[] }[];
  readonly kl: readonly { logp: number; ref: number; k1: number; k2: number; k3: number }[];
  readonly clipped_policy_gradient: {
    eps_low: number; eps_high: number; logp: number[]; old_logp: number[]; advantage: number[]; loss: number[]; dloss_dlogp: number[];
  };
  readonly truncated_policy_gradient: { cap: number; logp: number[]; old_logp: number[]; advantage: number[]; loss: number[]; dloss_dlogp: number[] };
  readonly domain_normalised: {
    domain: string[]; trainable_tokens: number[]; token_losses: number[][]; weight_per_token: number[]; loss: number;
  };
}

const golden = JSON.parse(readFileSync(new URL('losses.json', import.meta.url), 'utf8')) as Golden;

function expectClose(actual: readonly number[], expected: readonly number[]): void {
  expect(actual).toHaveLength(expected.length);
  actual.forEach((value, i) => {
    const target = expected[i] as number;
    expect(Math.abs(value - target), `index ${i}: ${value} against ${target}`).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(target)));
  });
}

describe('golden vectors', () => {
  it('covers every section of the file', () => {
    expect(Object.keys(golden).sort()).toEqual(['asymmetric', 'clipped_policy_gradient', 'domain_normalised', 'grpo', 'kl', 'sva', 'truncated_policy_gradient']);
  });

  it.each(golden.grpo.map((row, i) => [i, row] as const))('GRPO %i', (_, row) => {
    expectClose(grpoAdvantages(row.rewards, { normalizeByStd: true }), row.advantages);
    expectClose(grpoAdvantages(row.rewards, { normalizeByStd: false }), row.without_std);
  });

  it.each(golden.asymmetric.map((row, i) => [i, row] as const))('asymmetric %i', (_, row) => {
    const group = { outcomesG: row.r_out, processG: row.r_proc, validG: row.valid };
    const parts = asymmetricParts(group);
    expectClose(parts.outcomeAdvantagesG, row.a_out);
    expectClose(parts.processAdvantagesG, row.a_proc);
    expectClose(asymmetricAdvantages(group, { lambdaNegative: 0.5 }), row.advantage);
  });

  it.each(golden.sva.map((row, i) => [i, row] as const))('SVA %i', (_, row) => {
    const result = svaLoss({ studentK: row.student_logits, teacherK: row.teacher_logits, temperature: 1 });
    expectClose([result.loss], [row.loss]);
    expectClose(result.gradientK, row.grad);
    expectClose(result.studentProbabilitiesK, row.p);
    expectClose(result.teacherProbabilitiesK, row.q);
  });

  it.each(golden.kl.map((row, i) => [i, row] as const))('KL estimators %i', (_, row) => {
    expectClose([k1, k2, k3].map((estimate) => estimate(row.logp, row.ref).value), [row.k1, row.k2, row.k3]);
  });

  it('clipped policy gradient', () => {
    const { eps_low: clipLow, eps_high: clipHigh, ...rows } = golden.clipped_policy_gradient;
    const results = rows.logp.map((logprob, i) => clippedPolicyLoss(
      { logprob, oldLogprob: rows.old_logp[i] as number, advantage: rows.advantage[i] as number },
      { clipLow, clipHigh },
    ));
    expectClose(results.map((result) => result.loss), rows.loss);
    expectClose(results.map((result) => result.gradient), rows.dloss_dlogp);
  });

  it('truncated policy gradient', () => {
    const { cap, ...rows } = golden.truncated_policy_gradient;
    const results = rows.logp.map((logprob, i) => truncatedPolicyLoss({ logprob, oldLogprob: rows.old_logp[i] as number, advantage: rows.advantage[i] as number }, cap));
    expectClose(results.map((result) => result.loss), rows.loss);
    expectClose(results.map((result) => result.gradient), rows.dloss_dlogp);
  });

  it('domain-normalised objective', () => {
    const { domain, trainable_tokens, token_losses, weight_per_token, loss } = golden.domain_normalised;
    const weights = domainNormalisedWeights(domain.map((name, i) => ({ domain: name, trainableTokens: trainable_tokens[i] as number })));
    expectClose(weights, weight_per_token);
    const total = token_losses.flatMap((losses, i) => losses.map((value) => value * (weights[i] as number))).reduce((a, b) => a + b, 0);
    expectClose([total], [loss]);
  });
});

/** Vectors printed in the formulas' own document, to the digits printed there. */
describe('hand vectors', () => {
  it('GRPO (§B.1)', () => {
    const advantages = grpoAdvantages([1, 0, 0, 1, 1, 0, 0, 0], { normalizeByStd: true });
    expect(advantages[0]).toBeCloseTo(1.2076124, 7);
    expect(advantages[1]).toBeCloseTo(-0.72456744, 8);
  });

  it('asymmetric (§A.5.4): the best near miss is pushed down by almost nothing', () => {
    const advantages = asymmetricAdvantages(
      { outcomesG: [1, 0, 0, 0], processG: [1, 0.75, 0.25, 0.5], validG: [true, true, true, true] },
      { lambdaNegative: 0.5 },
    );
    [1.499997, -1.0e-6, -0.999997, -0.499999].forEach((expected, i) => expect(advantages[i]).toBeCloseTo(expected, 6));
  });

  it('k3 (§B.3)', () => {
    expect(k3(-1, -1.2).value).toBeCloseTo(0.018730753, 9);
    expect(k3(-3, -1).value).toBeCloseTo(4.389056099, 9);
  });

  it('SVA (§C.2)', () => {
    const result = svaLoss({ studentK: [2, 1, 0, -1], teacherK: [3, 0.5, 0.25, -2], temperature: 1 });
    [0.6439142599, 0.2368828181, 0.0871443187, 0.0320586033].forEach((p, i) => expect(result.studentProbabilitiesK[i]).toBeCloseTo(p, 10));
    [0.8674901757, 0.0712079299, 0.0554567916, 0.0058451028].forEach((q, i) => expect(result.teacherProbabilitiesK[i]).toBeCloseTo(q, 10));
    expect(result.loss).toBeCloseTo(0.1867610662, 10);
    [-0.3121694225, 0.2404835144, 0.0231107018, 0.0485752062].forEach((g, i) => expect(result.gradientK[i]).toBeCloseTo(g, 10));
  });
});
