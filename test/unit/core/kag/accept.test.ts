import { describe, expect, it } from 'vitest';
import type { ActionRecord } from '../../../../core/environment.js';
import { isEvidenceCovering, rejectionsOf } from '../../../../core/kag/accept.js';
import type { Candidate } from '../../../../core/kag/accept.js';

const read = (state: string[], observation: string): ActionRecord =>
  ({ state, action: { kind: 'tool', name: 'read_page', arguments: null }, observation, verifier: null });
const answer = (passed: boolean): ActionRecord =>
  ({ state: ['turn:1'], action: { kind: 'answer', name: 'answer', arguments: 'slate' }, observation: '', verifier: { name: 'outcome', passed } });

const good: Candidate = {
  answer: 'slate', verifiers: ['outcome'], domainVerifiers: ['outcome', 'grammar'],
  evidence: [{ id: 'page:a' }, { id: 'page:b' }],
  records: [read(['task', 'page:a'], 'north of b'), read(['turn:0', 'page:b'], 'built of slate'), answer(true)],
  probes: { solverAnswers: ['slate', 'oak', 'slate'], solvedClosedBook: false, solvedBySingleLookup: false, solvedFromLastHop: false },
};

const reasons = (change: Partial<Candidate>) => rejectionsOf({ ...good, ...change });
const probing = (change: Partial<Candidate['probes']>) => reasons({ probes: { ...good.probes, ...change } });

describe('acceptance', () => {
  it('accepts a task that passes all five predicates', () => {
    expect(rejectionsOf(good)).toEqual([]);
  });

  it('rejects what no verifier can check', () => {
    expect(reasons({ verifiers: [] })[0]).toEqual({ predicate: 'verifiable', reason: 'no verifier is named' });
    expect(reasons({ domainVerifiers: ['grammar'] })).toEqual([{ predicate: 'verifiable', reason: 'the domain has no verifier outcome' }]);
  });

  it('rejects a trajectory that reaches no accepted answer', () => {
    expect(reasons({ records: good.records.slice(0, 2) })).toContainEqual({ predicate: 'valid', reason: 'the trajectory reaches no answer' });
    expect(reasons({ records: [...good.records.slice(0, 2), answer(false)] })).toEqual([{ predicate: 'valid', reason: 'outcome rejects the answer' }]);
    expect(reasons({ records: [...good.records.slice(0, 2), { ...answer(true), verifier: null }] }))
      .toEqual([{ predicate: 'valid', reason: 'no verifier of the task looked at the answer' }]);
  });

  it('rejects a one-shot look-up and what is solved without the process', () => {
    expect(reasons({ records: [read(['task', 'page:a', 'page:b'], 'slate'), { ...answer(true), state: ['turn:0'] }] }))
      .toEqual([{ predicate: 'process-informative', reason: '1 actions build on an earlier observation, 2 are needed' }]);
    expect(probing({ solvedClosedBook: true })).toEqual([{ predicate: 'process-informative', reason: 'solved without tools' }]);
    expect(probing({ solvedBySingleLookup: true })).toEqual([{ predicate: 'process-informative', reason: 'solved by a single look-up' }]);
  });

  it('rejects a trajectory that did not consult its evidence', () => {
    expect(reasons({ evidence: [...good.evidence, { id: 'page:c' }] })).toEqual([{ predicate: 'evidence-covering', reason: 'never consulted: page:c' }]);
    expect(isEvidenceCovering({ ...good, evidence: [{ id: 'fact:slate', text: 'built of slate' }] })).toEqual({ pass: true });
    expect(isEvidenceCovering({ ...good, evidence: [{ id: 'fact:oak', text: 'built of oak' }] })).toMatchObject({ pass: false });
  });

  it('rejects an ambiguous question and a shortcut', () => {
    expect(probing({ solverAnswers: ['slate', 'oak'] })[0]).toMatchObject({ predicate: 'unambiguous' });
    expect(probing({ solverAnswers: ['slate', 'slate', 'oak', 'oak'] })).toEqual([{ predicate: 'unambiguous', reason: '2 independent solvers agree on another answer: oak' }]);
    expect(probing({ solverAnswers: ['slate', 'slate', '', ''] })).toEqual([]);
    expect(probing({ solvedFromLastHop: true })).toEqual([{ predicate: 'unambiguous', reason: 'solved from the last hop alone' }]);
  });
});
