import { describe, expect, it } from 'vitest';
import { faultsPage, notMet, totals, verdictLine } from '../../../../deploy/tests/faults-table.mjs';

const clean = { lost: [], duplicated: [], mislabelled: [], ledger: [], replay: 'IDENTICAL', weights: 'w', repeatedTurns: [1, 0] };
const fault = (role: string, recoverySeconds: number | null) => ({ role, kind: 'kill -9', after: 'a fact', proof: 'gone', recoverySeconds });

describe('the results of fault trials', () => {
  const trials = [
    { platform: 'all-in-one', seed: 1, faults: [fault('sidecar', 1), fault('services', 3)], verdict: clean },
    { platform: 'all-in-one', seed: 2, faults: [fault('sidecar', 5)], verdict: { ...clean, lost: ['an event'] }, unclean: ['replay: DIVERGED'] },
    { platform: 'distributed', seed: 3, faults: [], unknown: 'it never ended\nstack' },
    { platform: 'distributed', seed: 4, faults: [fault('rollout-2', 2), fault('rollout-1-sidecar', null)], verdict: clean },
  ];

  it('sum to the verdict, in which an unknown outcome is no good one', () => {
    expect(totals(trials)).toEqual({ faults: 5, unknown: 1, lost: 1, duplicated: 0, mislabelled: 0 });
    expect(verdictLine(trials)).toBe('5 faults: 1 lost, 0 duplicated, 0 mislabelled; 1 trials with unknown outcome');
    expect(verdictLine(trials.slice(0, 1))).toBe('2 faults: 0 lost, 0 duplicated, 0 mislabelled');
  });

  it('name the faults that were drawn and never met', () => {
    const drawn = (...roles: string[]) => roles.map((role) => ({ role, kind: 'kill -9' }));
    const [first, second, third] = trials;
    const planned = [{ ...first!, planned: drawn('sidecar', 'temporal', 'log') }, { ...second!, planned: drawn('temporal', 'sidecar') }, { ...third!, planned: drawn('sidecar') }];
    expect(notMet(planned)).toEqual(['all-in-one log kill -9', 'all-in-one temporal kill -9', 'distributed sidecar kill -9']);
    expect(faultsPage(planned, 'the command')).toContain('Drawn and not met, since the run was over: all-in-one log kill -9, ');
    expect(faultsPage(trials, 'the command')).toContain('Every fault that was drawn was met at least once.');
  });

  it('make one row a platform, role and fault, and name what is not clean', () => {
    const page = faultsPage(trials, 'the command');
    expect(page).toContain('| all-in-one | services | kill -9 | 1 | 1 | 0 | 0 | 0 | 3.0 | 3.0 | 0 |');
    expect(page).toContain('| all-in-one | sidecar | kill -9 | 2 | 2 | 1 | 0 | 0 | 1.0 | 5.0 | 1 |');
    expect(page).toContain('| distributed | rollout | kill -9 | 1 | 1 | 0 | 0 | 0 | 2.0 | 2.0 | 1 |');
    expect(page).toContain('| distributed | sidecar of rollout | kill -9 | 1 | 1 | 0 | 0 | 0 | – | – | 0 |');
    expect(page).toContain('- all-in-one, seed 2: replay: DIVERGED\n- distributed, seed 3: it never ended\n');
  });
});
