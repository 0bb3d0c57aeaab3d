/**
 * From facts to a number. Search, algorithms of the paper's §search teacher in parametric form (no constants are published, ours are the recipe's):
 *   r = w_c·correct − min(c_eff, α·max(0, rounds − K)) − min(c_rep, β·n_rep) + w_f·format
 *   n_rep = #{ j : key_j ∈ {key_{j−W}, …, key_{j−1}} }
 * Science: w_c·correct + w_f·format. Instruction: correct (or the share of constraints met) + w_f·format. Tools: w_c·correct;
 * its process rubrics enter the asymmetric advantage, not the reward.
 */
import type { Domain, Verdict } from '../environment.js';
import type { Rewards } from '../recipe/recipe.js';

/** In the order of the formulas. Penalties are negative. */
export const REWARD_COMPONENTS = ['correct', 'constraints', 'efficiency', 'repetition', 'format'] as const;

export interface RewardComponent {
  readonly name: (typeof REWARD_COMPONENTS)[number];
  readonly value: number;
}

export interface Reward {
  /** The sum of the components. */
  readonly reward: number;
  readonly components: readonly RewardComponent[];
}

export function rewardOf(domain: Domain, verdict: Verdict, rewards: Rewards): Reward {
  const components = componentsOf(domain, verdict, rewards);
  return { reward: components.reduce((sum, component) => sum + component.value, 0), components };
}

function componentsOf(domain: Domain, verdict: Verdict, rewards: Rewards): RewardComponent[] {
  // A correct answer was parsed, whatever a foreign verifier says of its form: keeps correct above incorrect.
  const format = Number(verdict.formatOk || verdict.correct);
  const correct = Number(verdict.correct);
  switch (domain) {
    case 'search': {
      const rule = rewards.search;
      const extraRounds = Math.max(0, verdict.rounds - rule.freeRounds);
      return [
        { name: 'correct', value: rule.correct * correct },
        { name: 'efficiency', value: negative(Math.min(rule.efficiencyCap, rule.perExtraRound * extraRounds)) },
        { name: 'repetition', value: negative(Math.min(rule.repetitionCap, rule.perRepeat * countRepeats(verdict.callKeys, rule.repeatWindow))) },
        { name: 'format', value: rule.format * format },
      ];
    }
    case 'science':
      return [
        { name: 'correct', value: rewards.science.correct * correct },
        { name: 'format', value: rewards.science.format * format },
      ];
    case 'instruction': {
      const graded = rewards.instruction.grading === 'fraction' && !verdict.correct ? verdict.fraction : correct;
      return [
        { name: rewards.instruction.grading === 'fraction' ? 'constraints' : 'correct', value: graded },
        { name: 'format', value: rewards.instruction.format * format },
      ];
    }
    case 'tools':
      return [{ name: 'correct', value: rewards.tools.correct * correct }];
  }
}

/** Calls whose key is among the `window` keys before them. */
export function countRepeats(callKeys: readonly string[], window: number): number {
  return callKeys.filter((key, j) => callKeys.slice(Math.max(0, j - window), j).includes(key)).length;
}

/** Why these numbers could rank an incorrect episode at or above a correct one; empty when they cannot. */
export function rewardOrderingProblems(rewards: Rewards): string[] {
  const { search, science, instruction, tools } = rewards;
  const problems: string[] = [];
  const penalties = search.efficiencyCap + search.repetitionCap;
  if (!(search.correct > penalties)) {
    problems.push(`rewards.search: correct (${search.correct}) must exceed efficiencyCap + repetitionCap (${penalties}), or a slow correct answer scores no more than a quick wrong one`);
  }
  if (!(science.correct > 0)) problems.push('rewards.science.correct: must be above 0, or correct answers score no more than wrong ones');
  if (!(tools.correct > 0)) problems.push('rewards.tools.correct: must be above 0, or correct outcomes score no more than wrong ones');
  const amounts: readonly (readonly [string, number])[] = [
    ['search.format', search.format], ['search.freeRounds', search.freeRounds], ['search.perExtraRound', search.perExtraRound],
    ['search.efficiencyCap', search.efficiencyCap], ['search.repeatWindow', search.repeatWindow], ['search.perRepeat', search.perRepeat],
    ['search.repetitionCap', search.repetitionCap], ['science.format', science.format], ['instruction.format', instruction.format],
  ];
  for (const [path, amount] of amounts) {
    if (!(amount >= 0)) problems.push(`rewards.${path}: must be 0 or more; penalties are given as positive amounts`);
  }
  return problems;
}

/** −x without the negative zero that JSON and hashes would tell apart from 0. */
function negative(amount: number): number {
  return amount === 0 ? 0 : -amount;
}
