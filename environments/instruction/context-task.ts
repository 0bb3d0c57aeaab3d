/**
 * A short document and a temporary rule that overrides it: `read bram has lamp ; otto has bell ; rule bram means otto ; what has bram`.
 * Accepted only if the answer depends on both: answer(document, rule) ≠ answer(document, no rule), and the rule alone gives none.
 */
import type { Random } from '../random.js';
import { GOODS, PEOPLE } from '../words.js';

export type Fact = { readonly person: string; readonly good: string };

export type Rule =
  | { readonly kind: 'alias'; readonly from: string; readonly to: string }
  | { readonly kind: 'substitute'; readonly pairs: readonly (readonly [string, string])[] }
  | { readonly kind: 'next' };

export interface ContextTask {
  readonly prompt: string;
  /** Under the rule. */
  readonly answer: string;
  readonly facts: readonly Fact[];
  readonly rule: Rule;
  readonly person: string;
}

export const CONTEXT_WORDS: readonly string[] = [...PEOPLE, ...GOODS, 'read', 'has', ';', 'rule', 'means', 'take', 'next', 'what', ','];

/** null where document and rule give no answer. */
export function answerUnder(facts: readonly Fact[], person: string, rule: Rule | null): string | null {
  const asked = rule?.kind === 'alias' && rule.from === person ? rule.to : person;
  const line = facts.findIndex((fact) => fact.person === asked);
  if (line < 0) return null;
  const fact = facts[rule?.kind === 'next' ? line + 1 : line];
  if (fact === undefined) return null;
  if (rule?.kind !== 'substitute') return fact.good;
  return rule.pairs.find(([from]) => from === fact.good)?.[1] ?? fact.good;
}

export function dependsOnBoth(facts: readonly Fact[], person: string, rule: Rule): boolean {
  const under = answerUnder(facts, person, rule);
  return under !== null && under !== answerUnder(facts, person, null) && answerUnder([], person, rule) === null;
}

export function drawContext(random: Random, factCount: number): ContextTask {
  for (let attempt = 0; attempt < 1000; attempt++) {
    const people = random.sample(PEOPLE, factCount);
    const goods = random.sample(GOODS, factCount + 2);
    const facts = people.map((person, i): Fact => ({ person, good: goods[i] as string }));
    const person = random.pick(people);
    const rule = drawRule(random, facts, goods.slice(factCount));
    if (!dependsOnBoth(facts, person, rule)) continue;
    return { prompt: promptOf(facts, person, rule), answer: answerUnder(facts, person, rule) as string, facts, rule, person };
  }
  throw new RangeError('no context task in 1000 draws');
}

function drawRule(random: Random, facts: readonly Fact[], spareGoods: readonly string[]): Rule {
  const kind = random.pick(['alias', 'substitute', 'next'] as const);
  if (kind === 'next') return { kind };
  const [first, second] = random.sample(facts, 2) as [Fact, Fact];
  if (kind === 'alias') return { kind, from: first.person, to: second.person };
  return { kind, pairs: [[first.good, spareGoods[0] as string], [second.good, spareGoods[1] as string]] };
}

function promptOf(facts: readonly Fact[], person: string, rule: Rule): string {
  const lines = facts.map((fact) => `${fact.person} has ${fact.good}`);
  return ['read', [...lines, `rule ${ruleText(rule)}`, `what has ${person}`].join(' ; ')].join(' ');
}

function ruleText(rule: Rule): string {
  if (rule.kind === 'next') return 'take next';
  if (rule.kind === 'alias') return `${rule.from} means ${rule.to}`;
  return rule.pairs.map(([from, to]) => `${from} means ${to}`).join(' , ');
}
