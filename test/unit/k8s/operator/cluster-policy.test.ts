/** What the operator makes is held to the same rules as the manifests, and each rule can be broken. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { desiredObjects } from '../../../../k8s/operator/desired.js';
import { desiredTeacher } from '../../../../k8s/operator/teachers.js';
import type { TrainingRunSpec } from '../../../../k8s/operator/training-run.js';
import { policyProblems, type ClusterObject } from '../../../support/cluster-policy.js';
import { frozenRecipe, ON_A_CLUSTER, teacher, trainingRun } from '../../../support/training-runs.js';

function objectsOf(spec: Partial<TrainingRunSpec>): ClusterObject[] {
  const run = trainingRun({ spec });
  return desiredObjects({ run, image: 'stemma:1', operatorNamespace: 'stemma-system', pods: { computing: true, steering: true }, replicas: { rollout: 2, teacherScoring: 1 }, frozen: frozenRecipe() }) as unknown as ClusterObject[];
}

const memory = fc.record({ requests: fc.constantFrom(undefined, '1Gi', '40Gi'), limits: fc.constantFrom(undefined, '64Gi') })
  .map(({ requests, limits }) => ({ resources: { ...(requests && { requests: { memory: requests } }), ...(limits && { limits: { memory: limits } }) } }));
const anySpec: fc.Arbitrary<Partial<TrainingRunSpec>> = fc.record({
  where: fc.constantFrom<Partial<TrainingRunSpec>>({ embedded: true }, ON_A_CLUSTER, { ...ON_A_CLUSTER, blobs: { bucket: 's3://b/p', secret: 'keys' } }),
  device: fc.constantFrom('cpu' as const, 'cuda' as const), wanted: memory,
}).map(({ where, device, wanted }) => {
  const { roles } = trainingRun().spec;
  return { ...where, device, roles: where.embedded ? { ...roles, allInOne: wanted } : { ...roles, learner: wanted, rollout: { ...roles.rollout, ...wanted } } };
});

describe('the objects of runs and teachers', () => {
  test('keep every rule, whatever the spec', () => {
    fc.assert(fc.property(anySpec, (spec) => { expect(policyProblems(objectsOf(spec))).toEqual([]); }));
    expect(policyProblems(desiredTeacher(teacher('search', 0), 'stemma:1') as unknown as ClusterObject[])).toEqual([]);
  });

  test('take a given limit or request as what is enough', () => {
    const learner = (wanted: object): unknown => objectsOf({ ...ON_A_CLUSTER, roles: { ...trainingRun().spec.roles, learner: wanted } })
      .find(({ kind, metadata: { name } }) => kind === 'Deployment' && name.endsWith('-learner'))?.spec?.template?.spec.containers[0]?.resources;
    expect(learner({})).toEqual({ requests: { cpu: '1', memory: '2Gi' }, limits: { memory: '8Gi' } });
    expect(learner({ resources: { requests: { memory: '40Gi' } } })).toEqual({ requests: { cpu: '1', memory: '40Gi' }, limits: { memory: '40Gi' } });
    expect(learner({ resources: { requests: { memory: '1Gi' } } })).toEqual({ requests: { cpu: '1', memory: '1Gi' }, limits: { memory: '8Gi' } });
    expect(learner({ resources: { limits: { memory: '1Gi', cpu: '500m' } } })).toEqual({ requests: { cpu: '500m', memory: '1Gi' }, limits: { memory: '1Gi', cpu: '500m' } });
  });
});

type Change = (objects: { kind: string; metadata: { name: string }; spec: Record<string, never> }[]) => void;
const pods = (objects: Parameters<Change>[0]): Record<string, unknown>[] => objects.filter(({ kind }) => kind === 'Deployment').map(({ spec }) => (spec as unknown as { template: { spec: Record<string, unknown> } }).template.spec);
const containers = (objects: Parameters<Change>[0]): Record<string, unknown>[] => pods(objects).flatMap((pod) => pod['containers'] as Record<string, unknown>[]);
const all = (change: (each: Record<string, unknown>) => void, of = containers): Change => (objects) => of(objects).forEach(change);
const set = (name: string, value: unknown, of = containers): Change => all((each) => { each[name] = value; }, of);

const BROKEN: readonly (readonly [string, RegExp, Change])[] = [
  ['root', /may run as root/, set('securityContext', { seccompProfile: { type: 'RuntimeDefault' } }, pods)],
  ['no seccomp', /no seccomp profile/, set('securityContext', { runAsNonRoot: true, runAsUser: 10_001 }, pods)],
  ['the host’s network', /see the node/, set('hostNetwork', true, pods)],
  ['a host’s folder', /see the node/, set('volumes', [{ name: 'x', hostPath: { path: '/' } }], pods)],
  ['a token', /token that they do not need/, set('automountServiceAccountToken', true, pods)],
  ['an account', /an account that pods must not be/, set('serviceAccountName', 'admin', pods)],
  ['service links', /variables of other services/, set('enableServiceLinks', true, pods)],
  ['a quick end', /killed before a step boundary/, set('terminationGracePeriodSeconds', 30, pods)],
  ['no version', /names no version/, set('image', 'registry:5000/stemma')],
  ['latest', /names no version/, set('image', 'stemma:latest')],
  ['privileges', /may gain privileges/, set('securityContext', { readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } })],
  ['a writable root', /may write to its root/, set('securityContext', { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } })],
  ['capabilities', /has capabilities/, set('securityContext', { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'], add: ['NET_ADMIN'] } })],
  ['no requests', /asks for no cpu or memory/, set('resources', { limits: { memory: '1Gi' } })],
  ['no limit', /has no memory limit/, set('resources', { requests: { cpu: 1, memory: '1Gi' } })],
  ['a request above its limit', /more memory than its limit/, set('resources', { requests: { cpu: 1, memory: '2Gi' }, limits: { memory: '1Gi' } })],
  ['no probe', /lacks a probe/, set('livenessProbe', undefined)],
  ['one question twice', /two questions, one answer/, all((each) => { each['readinessProbe'] = each['livenessProbe']; })],
  ['a secret in the open', /in the open/, set('env', [{ name: 'AWS_SECRET_ACCESS_KEY', value: 'x' }])],
  ['a budget that blocks', /blocks the drain/, (objects) => objects.filter(({ kind }) => kind === 'PodDisruptionBudget').forEach((each) => { each.spec = { minAvailable: 1 } as never; })],
  ['a Service of nobody', /selects pods that nobody makes/, (objects) => objects.filter(({ kind }) => kind === 'Service').forEach((each) => { each.spec = { selector: { a: 'b' } } as never; })],
  ['no way in held back', /no NetworkPolicy holds back its pods' Ingress/, (objects) => objects.splice(0, objects.length, ...objects.filter(({ kind }) => kind !== 'NetworkPolicy'))],
];

test.each(BROKEN)('it is noticed: %s', (_, problem, change) => {
  const objects = structuredClone(objectsOf(ON_A_CLUSTER)) as unknown as Parameters<Change>[0];
  change(objects);
  expect(policyProblems(objects as unknown as ClusterObject[]).join('\n')).toMatch(problem);
});
