import { describe, expect, test } from 'vitest';
import { amendments, bakedInForce, bakeOverrides, withAmendment } from '../../../../k8s/operator/overrides.js';
import type { Progress } from '../../../../k8s/operator/run-gateway.js';
import { demandOf, ordersFor, podsWanted, updateIdOf } from '../../../../k8s/operator/steering.js';
import { domainsWithoutTeacher } from '../../../../k8s/operator/teachers.js';
import { parseRecipeValue } from '../../../../services/runtime/recipe-schema.js';
import type { RunStatus } from '../../../../core/projection/progress.js';
import { condition, frozenRecipe, ON_A_CLUSTER, teacher, trainingRun } from '../../../support/training-runs.js';

const progress = (status: RunStatus): Progress => ({ status, detail: '', stages: [] });
const SUBMITTED = condition('Submitted', 'True', 'InLog');
const kinds = (...args: Parameters<typeof ordersFor>): string[] => ordersFor(...args).map(({ kind }) => kind);

describe('what a run is told', () => {
  const frozen = frozenRecipe();

  test('is to begin, where its log has nothing', () => {
    expect(kinds(trainingRun(), frozen, null, [])).toEqual(['submit']);
    expect(kinds(trainingRun({ spec: { suspend: true } }), frozen, null, [])).toEqual([]);
  });

  test('is to pause only after the status says so, and to go on only if the pause was ours', () => {
    const suspend = { spec: { suspend: true } };
    expect(kinds(trainingRun(suspend), frozen, progress('running'), [])).toEqual([]);
    expect(kinds(trainingRun({ ...suspend, status: { conditions: [condition('Suspended', 'False', 'Suspending')] } }), frozen, progress('running'), [])).toEqual(['pause']);
    expect(kinds(trainingRun({ ...suspend, status: { conditions: [condition('Suspended', 'True', 'Suspended')] } }), frozen, progress('paused'), [])).toEqual([]);
    expect(kinds(trainingRun({ status: { conditions: [condition('Suspended', 'True', 'Suspended')] } }), frozen, progress('paused'), [])).toEqual(['resume']);
    expect(kinds(trainingRun({ status: { conditions: [condition('Suspended', 'False', 'PausedElsewhere')] } }), frozen, progress('paused'), [])).toEqual([]);
  });

  test('is nothing when it stops or has ended', () => {
    const run = trainingRun({ spec: { overrides: [{ stage: 'sft', path: 'batchSize', value: 8 }] } });
    for (const status of ['stopping', 'finished', 'failed', 'stopped'] as const) expect(kinds(run, frozen, progress(status), [])).toEqual([]);
  });

  test('has one id a wish', () => {
    const run = trainingRun({ status: { conditions: [condition('Suspended', 'False', 'Suspending')] } });
    expect(updateIdOf(run, { kind: 'pause' })).toBe(updateIdOf(run, { kind: 'pause' }));
    const later = trainingRun({ status: { conditions: [{ ...condition('Suspended', 'False', 'Suspending'), lastTransitionTime: '2026-01-02T00:00:00Z' }] } });
    expect(updateIdOf(later, { kind: 'pause' })).not.toBe(updateIdOf(run, { kind: 'pause' }));
  });
});

describe('overrides', () => {
  const { recipe } = frozenRecipe();
  const rate = (value: number) => ({ stage: 'sft', path: 'optimizer.learningRate', value });

  test('that are there at the start become part of the recipe, with what they replaced', () => {
    const { raw, baked, problems } = bakeOverrides(recipe, [rate(0.002), { stage: 'search-rl', path: 'learningRate', value: 0.003 }]);
    expect(problems).toEqual([]);
    const changed = parseRecipeValue(raw, 'test').stages;
    expect([changed[0]?.optimizer.learningRate, changed[1]?.optimizer.learningRate, changed[2]?.optimizer.learningRate]).toEqual([0.002, 0.003, 0.001]);
    expect(baked.map(({ originalJson }) => originalJson)).toEqual(['0.001', '0.001']);
  });

  test('that cannot be are named all at once', () => {
    const { problems } = bakeOverrides(recipe, [{ stage: 'nowhere', path: 'a', value: 1 }, { stage: 'sft', path: 'nothing', value: 1 }, { stage: 'sft', path: 'batchSize', value: 'many' }]);
    expect(problems).toEqual([
      expect.stringContaining('there is no stage nowhere; there are sft'), expect.stringContaining('stage sft has no setting nothing'), expect.stringContaining('batchSize is a number, not a string'),
    ]);
  });

  test('that change later are told to the run once, and taken back when they are gone', () => {
    const { baked } = bakeOverrides(recipe, [rate(0.002)]);
    const frozen = frozenRecipe(baked);
    const atStart = bakedInForce(baked);
    expect(amendments(frozen, [rate(0.002)], atStart)).toEqual([]);
    const [changed, ...none] = amendments(frozen, [rate(0.004)], atStart);
    expect([changed, none]).toEqual([{ stage: 'sft', path: 'optimizer.learningRate', setting: 'optimizer.learningRate', valueJson: '0.004', isOverride: true }, []]);
    const inForce = withAmendment(atStart, changed!, 7);
    expect(inForce).toEqual([{ stage: 'sft', path: 'optimizer.learningRate', valueJson: '0.004', fromStep: 7 }]);
    expect(amendments(frozen, [rate(0.004)], inForce)).toEqual([]);
    const [back] = amendments(frozen, [], inForce);
    expect(back).toMatchObject({ valueJson: '0.001', isOverride: false });
    expect(withAmendment(inForce, back!, 9)).toEqual([]);
    expect(amendments(frozen, [{ stage: 'sft', path: 'learningRate', value: 0.5 }], [])[0]?.setting).toBe('optimizer.learningRate');
  });
});

describe('the pods of a run', () => {
  const now = Date.parse('2026-01-01T01:00:00Z');

  test('wait for teachers and for the end of a suspension, but only before it began', () => {
    expect(podsWanted(trainingRun(), false, now)).toEqual({ computing: false, steering: false });
    expect(podsWanted(trainingRun({ spec: { suspend: true } }), true, now)).toEqual({ computing: false, steering: false });
    expect(podsWanted(trainingRun({ status: { conditions: [SUBMITTED] } }), false, now)).toEqual({ computing: true, steering: true });
  });

  test('compute until the pause is a fact, then only steer, or are gone where steering and computing are one', () => {
    const conditions = (reason: string) => ({ conditions: [SUBMITTED, condition('Suspended', reason === 'Suspended' ? 'True' : 'False', reason)] });
    const cluster = { ...ON_A_CLUSTER, suspend: true };
    expect(podsWanted(trainingRun({ spec: cluster, status: conditions('Suspending') }), true, now)).toEqual({ computing: true, steering: true });
    expect(podsWanted(trainingRun({ spec: cluster, status: conditions('Suspended') }), true, now)).toEqual({ computing: false, steering: true });
    expect(podsWanted(trainingRun({ spec: { suspend: true }, status: conditions('Suspended') }), true, now)).toEqual({ computing: false, steering: false });
  });

  test('stay after the end for as long as the spec says', () => {
    const status = { endedAt: '2026-01-01T00:55:00Z', conditions: [SUBMITTED, condition('Completed', 'True', 'Finished')] };
    expect(podsWanted(trainingRun({ status }), true, now)).toEqual({ computing: false, steering: true });
    expect(podsWanted(trainingRun({ status }), true, now + 300_000)).toEqual({ computing: false, steering: false });
  });
});

test('demand is the open episodes of stages that run, and is scored where there is someone to score', () => {
  const episodes = { requested: 9, completed: 0, truncated: 0, failed: 0, owed: 5, generatedTokens: 0 };
  const stage = (kind: 'sft' | 'rl' | 'distill', status: 'running' | 'finished') => ({ stage: kind, kind, status, step: 1, steps: 2, reward: undefined, episodes });
  expect(demandOf({ status: 'running', detail: '', stages: [stage('sft', 'running'), stage('rl', 'running'), stage('distill', 'finished')] })).toEqual({ episodes: 10, scored: 5 });
});

test('a run waits for a ready teacher of each domain that its recipe routes', () => {
  const { recipe } = frozenRecipe();
  const routed = Object.entries(recipe.teachers).filter(([, stage]) => stage !== 'none').map(([domain]) => domain);
  const run = trainingRun({ spec: { ...ON_A_CLUSTER, teacherPool: 'shared' } });
  expect(domainsWithoutTeacher(recipe, [], run)).toEqual(routed);
  const others = routed.slice(1);
  expect(domainsWithoutTeacher(recipe, [teacher(routed[0]!, 0), ...others.map((domain) => teacher(domain, 1))], run)).toEqual([routed[0]]);
  expect(domainsWithoutTeacher(recipe, routed.map((domain) => teacher(domain, 1, 'another')), run)).toEqual(routed);
});
