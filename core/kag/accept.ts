/**
 * When a proposed task is kept: the five predicates of the proposer–solver–verifier game, as far as they are
 * mechanical. What needs other solvers or probes comes in as data; a judge's opinion is not modelled here.
 *
 *   x = (q, d, τ, y*, E_q, V_q),   E_q ⊆ C_d,  V_q ⊆ V_d
 *   (i) verifiable  (ii) valid  (iii) process-informative  (iv) evidence-covering  (v) unambiguous, no shortcut
 *
 * Equations: Agents-A1 (arXiv 2606.30616) eq. 2–3; thresholds are ours.
 */
import type { ActionRecord } from '../environment.js';
import { isDependent } from './record.js';

export type Acceptance = { readonly pass: true } | { readonly pass: false; readonly reason: string };

export interface Candidate {
  /** y* */
  readonly answer: string;
  /** V_q and V_d: names of verifiers. */
  readonly verifiers: readonly string[];
  readonly domainVerifiers: readonly string[];
  /** E_q: evidence that the answer needs. */
  readonly evidence: readonly RequiredEvidence[];
  /** τ: the solver's records in turn order. */
  readonly records: readonly ActionRecord[];
  readonly probes: Probes;
}

export interface RequiredEvidence {
  readonly id: string;
  /** Where the corpus shows it: an observation with this text consulted it as well. */
  readonly text?: string;
}

/** What other attempts at the same question showed. */
export interface Probes {
  /** Answers of independent solvers with all tools; '' where one found none. */
  readonly solverAnswers: readonly string[];
  /** Solved without any tool; by one look-up; with only the last hop: each is a shortcut. */
  readonly solvedClosedBook: boolean;
  readonly solvedBySingleLookup: boolean;
  readonly solvedFromLastHop: boolean;
}

/** Actions that build on an earlier observation: fewer is a one-shot look-up and its answer. */
export const MIN_DEPENDENT_ACTIONS = 2;
/** Independent solvers that must reach y*. */
export const MIN_AGREEING_SOLVERS = 2;

const PASS: Acceptance = { pass: true };

function fail(reason: string): Acceptance {
  return { pass: false, reason };
}

/** (i) Some verifier of the domain can check it. */
export function isVerifiable({ verifiers, domainVerifiers }: Pick<Candidate, 'verifiers' | 'domainVerifiers'>): Acceptance {
  if (verifiers.length === 0) return fail('no verifier is named');
  const unknown = verifiers.filter((name) => !domainVerifiers.includes(name));
  return unknown.length === 0 ? PASS : fail(`the domain has no verifier ${unknown.join(', ')}`);
}

/** (ii) The trajectory reaches an answer that a verifier of V_q accepts. */
export function isValid({ verifiers, records }: Pick<Candidate, 'verifiers' | 'records'>): Acceptance {
  const last = records[records.length - 1];
  if (last === undefined || last.action.kind !== 'answer') return fail('the trajectory reaches no answer');
  if (last.verifier === null || !verifiers.includes(last.verifier.name)) return fail('no verifier of the task looked at the answer');
  return last.verifier.passed ? PASS : fail(`${last.verifier.name} rejects the answer`);
}

/** (iii) A lower bound: dependent decisions, and neither memory nor one look-up is enough. */
export function isProcessInformative({ records, probes }: Pick<Candidate, 'records' | 'probes'>): Acceptance {
  const dependent = records.filter((record) => record.action.kind !== 'invalid' && isDependent(record)).length;
  if (dependent < MIN_DEPENDENT_ACTIONS) return fail(`${dependent} actions build on an earlier observation, ${MIN_DEPENDENT_ACTIONS} are needed`);
  if (probes.solvedClosedBook) return fail('solved without tools');
  return probes.solvedBySingleLookup ? fail('solved by a single look-up') : PASS;
}

/** (iv) Every piece of E_q is in some s_t, or shown by some o_t. */
export function isEvidenceCovering({ evidence, records }: Pick<Candidate, 'evidence' | 'records'>): Acceptance {
  const missing = evidence.filter(({ id, text }) => !records.some((record) =>
    record.state.includes(id) || (text !== undefined && text !== '' && record.observation.includes(text))));
  return missing.length === 0 ? PASS : fail(`never consulted: ${missing.map(({ id }) => id).join(', ')}`);
}

/** (v) Independent solvers reach y*, no two agree on another answer, and the last hop alone is not enough. */
export function isUnambiguous({ answer, probes }: Pick<Candidate, 'answer' | 'probes'>): Acceptance {
  const votes = new Map<string, number>();
  for (const found of probes.solverAnswers) votes.set(found, (votes.get(found) ?? 0) + 1);
  const agreeing = votes.get(answer) ?? 0;
  if (agreeing < MIN_AGREEING_SOLVERS) return fail(`${agreeing} independent solvers reach the answer, ${MIN_AGREEING_SOLVERS} are needed`);
  const rival = [...votes].find(([found, count]) => found !== answer && found !== '' && count > 1);
  if (rival) return fail(`${rival[1]} independent solvers agree on another answer: ${rival[0]}`);
  return probes.solvedFromLastHop ? fail('solved from the last hop alone') : PASS;
}

const PREDICATES = {
  verifiable: isVerifiable,
  valid: isValid,
  'process-informative': isProcessInformative,
  'evidence-covering': isEvidenceCovering,
  unambiguous: isUnambiguous,
} as const;
export type Predicate = keyof typeof PREDICATES;

export interface Rejection {
  readonly predicate: Predicate;
  readonly reason: string;
}

/** Every predicate that fails, in the paper's order; a task without rejections is accepted. */
export function rejectionsOf(candidate: Candidate): Rejection[] {
  return (Object.keys(PREDICATES) as Predicate[]).flatMap((predicate) => {
    const verdict = PREDICATES[predicate](candidate);
    return verdict.pass ? [] : [{ predicate, reason: verdict.reason }];
  });
}
