import { describe, expect, test } from 'vitest';
import { transitions } from '../../../../k8s/operator/conditions.js';
import type { Progress } from '../../../../k8s/operator/run-gateway.js';
import { statusOf, type Contact, type Observed } from '../../../../k8s/operator/status.js';
import { conditionOf, type TrainingRun, type TrainingRunStatus } from '../../../../k8s/operator/training-run.js';
import type { RunStatus } from '../../../../core/projection/progress.js';
import { condition, frozenRecipe, ON_A_CLUSTER, trainingRun, type Given } from '../../../support/training-runs.js';

const NOW = Date.parse('2026-02-03T04:05:06.789Z');
const EPISODES = { requested: 0, completed: 0, truncated: 0, failed: 0, owed: 0, generatedTokens: 0 };

function progress(status: RunStatus, detail = ''): Progress {
  return {
    status, detail,
    stages: [
      { stage: 'sft', kind: 'sft', status: 'finished', step: 3, steps: 3, reward: undefined, episodes: EPISODES },
      { stage: 'search-rl', kind: 'rl', status: 'running', step: 1, steps: 2, reward: 0.25, episodes: EPISODES },
      { stage: 'distill', kind: 'distill', status: 'planned', step: 0, steps: 2, reward: undefined, episodes: EPISODES },
    ],
  };
}

const known = (status: RunStatus, detail?: string): Contact => ({ kind: 'known', progress: progress(status, detail) });

function seen(contact: Contact, more: Partial<Observed> = {}): Observed {
  return { resolution: { kind: 'frozen', frozen: frozenRecipe() }, contact, overrides: [], replicas: { rollout: 1, teacherScoring: 1 }, nowMs: NOW, ...more };
}

/** The status after these looks, one upon the other. */
function after(given: Given, ...looks: Observed[]): { readonly run: TrainingRun; readonly status: TrainingRunStatus } {
  let run = trainingRun(given);
  for (const look of looks) run = { ...run, status: statusOf(run, look) };
  return { run, status: run.status! };
}

const reasonOf = (status: TrainingRunStatus, type: string): string | undefined => conditionOf({ status }, type)?.reason;

describe('the status of a run', () => {
  test('shows stage, step and reward of the stage that computes', () => {
    const { status } = after({}, seen(known('running')));
    expect(status).toMatchObject({ phase: 'Running', run: 'tiny-run-0f0e0d0c', stage: 'search-rl', step: 1, steps: 2, progress: '1/2', reward: 0.25, observedGeneration: 1 });
  });

  test('does not change when nothing does, whatever the clock says', () => {
    for (const contact of [known('running'), known('paused'), known('finished'), { kind: 'silent', message: 'm' }, { kind: 'unknown-run' }, { kind: 'not-asked' }] as Contact[]) {
      const { run, status } = after({}, seen(contact), seen(contact));
      expect(statusOf(run, seen(contact, { nowMs: NOW + 1e7 }))).toEqual(status);
    }
  });

  test('keeps what was last known while the gateway is silent', () => {
    const { status } = after({}, seen(known('running')), seen({ kind: 'silent', message: 'gateway g does not answer (UNAVAILABLE)' }));
    expect(status).toMatchObject({ phase: 'Running', stage: 'search-rl', step: 1, message: 'gateway g does not answer (UNAVAILABLE)' });
    expect(conditionOf({ status }, 'Running')).toMatchObject({ status: 'Unknown', reason: 'GatewaySilent' });
  });

  test.each([
    ['finished', 'Completed', { status: 'True', reason: 'Finished' }, 'Completed'],
    ['failed', 'Failed', { status: 'True', reason: 'RunFailed', message: 'why' }, 'Failed'],
    ['stopped', 'Completed', { status: 'False', reason: 'Stopped' }, 'Stopped'],
  ] as const)('of one that %s stays so when nobody is left to ask', (end, type, expected, phase) => {
    const { status } = after({}, seen(known('running')), seen(known(end, 'why')), seen({ kind: 'not-asked' }, { nowMs: NOW + 1e6 }));
    expect(conditionOf({ status }, type)).toMatchObject(expected);
    expect(status).toMatchObject({ phase, endedAt: new Date(NOW).toISOString() });
  });

  test('writes that a pause is meant before the run is told of it, and that it is over when the run goes on', () => {
    const asked = { spec: { suspend: true }, status: after({}, seen(known('running'))).status };
    const meant = after(asked, seen(known('running')));
    expect([meant.status.phase, reasonOf(meant.status, 'Suspended')]).toEqual(['Suspending', 'Suspending']);
    const paused = after({ spec: { suspend: true }, status: meant.status }, seen(known('paused')), seen({ kind: 'not-asked' }));
    expect(paused.status.phase).toBe('Suspended');
    expect(conditionOf(paused.run, 'Suspended')).toMatchObject({ status: 'True', reason: 'Suspended' });
    const resumed = after({ status: paused.status }, seen({ kind: 'silent', message: 'm' }));
    expect(reasonOf(resumed.status, 'Suspended')).toBe('Resuming');
    expect(reasonOf(after({ status: resumed.status }, seen(known('running'))).status, 'Suspended')).toBe('NotSuspended');
  });

  test('tells a pause of someone else apart from its own', () => {
    const { status } = after({}, seen(known('running')), seen(known('paused')));
    expect(reasonOf(status, 'Suspended')).toBe('PausedElsewhere');
    expect(status.message).toContain('someone paused the run');
  });

  test('names a refused override until the spec changes, and no longer', () => {
    const spec = { overrides: [{ stage: 'sft', path: 'batchSize', value: 0 }] };
    const refused = after({ spec }, seen(known('running'), { refused: 'too small' }), seen(known('running')));
    expect(conditionOf(refused.run, 'Amended')).toMatchObject({ status: 'False', reason: 'OverrideRefused', message: 'too small' });
    const corrected = after({ spec: { overrides: [] }, status: refused.status, generation: 2 }, seen(known('running')));
    expect(reasonOf(corrected.status, 'Amended')).toBe('AsInRecipe');
  });

  test('says what is in the way', () => {
    const invalid = after({}, seen({ kind: 'not-asked' }, { resolution: { kind: 'unresolved', reason: 'RecipeInvalid', message: 'line 3: no' } })).status;
    expect(invalid).toMatchObject({ phase: 'Failed', message: 'line 3: no' });
    const waiting = after({ spec: { ...ON_A_CLUSTER, teacherPool: 'p' } }, seen({ kind: 'not-asked' }, { domainsWithoutTeacher: ['search', 'tools'] })).status;
    expect(waiting.phase).toBe('Pending');
    expect(waiting.message).toContain('pool p has no ready Teacher for search, tools');
    const conflict = after({}, seen(known('running'), { applyProblem: { reason: 'FieldConflict', message: 'StatefulSet x: 1 conflict' } })).status;
    expect(conflict).toMatchObject({ phase: 'Running', message: 'StatefulSet x: 1 conflict' });
    expect(conditionOf({ status: conflict }, 'Applied')).toMatchObject({ status: 'False', reason: 'FieldConflict' });
  });

  test('has a new time where a condition turns, and the old one where only its reason does', () => {
    const before = [condition('Running', 'False', 'GatewaySilent')];
    const { status } = after({ status: { conditions: before } }, seen({ kind: 'unknown-run' }));
    expect(conditionOf({ status }, 'Running')).toMatchObject({ reason: 'Submitting', lastTransitionTime: '2026-01-01T00:00:00Z' });
    expect(conditionOf({ status: after({ status }, seen(known('running'))).status }, 'Running')?.lastTransitionTime).toBe('2026-02-03T04:05:06Z');
  });
});

describe('events', () => {
  test('tell of new reasons that say something, and warn where a person is needed', () => {
    const before = [condition('Applied', 'True', 'AsWanted'), condition('Completed', 'False', 'InProgress')];
    const now = [condition('Applied', 'False', 'FieldConflict'), condition('Completed', 'True', 'Finished'), condition('Suspended', 'False', 'NotSuspended')];
    expect(transitions(before, now).map(({ type, reason }) => [type, reason])).toEqual([['Warning', 'FieldConflict'], ['Normal', 'Finished']]);
    expect(transitions(now, now)).toEqual([]);
  });
});
