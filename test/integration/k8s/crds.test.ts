/** The CRDs in a real API server: what it refuses and in which words, what it fills in, what `kubectl explain` says. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TrainingRun } from '../../../k8s/operator/training-run.js';
import { describeWithKube, openRealKube, type RealKube } from '../../support/real-kube.js';

type Fields = { readonly [field: string]: unknown };

interface Refused {
  readonly what: string;
  readonly kind?: string;
  readonly name?: string;
  readonly spec?: Fields;
  readonly change?: Fields;
}

const VALID: { readonly [kind: string]: Fields } = {
  TrainingRun: { recipe: { name: 'micro' }, embedded: true },
  Teacher: {
    domain: 'search', checkpoint: { run: 'micro-1', stage: 'search-rl' }, log: { brokers: ['kafka.data.svc:9092'] }, blobs: { claim: 'blobs' },
  },
};

function merged(base: Fields, over: Fields): Fields {
  const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);
  const result: { [field: string]: unknown } = { ...base };
  for (const [field, value] of Object.entries(over)) {
    if (value === null) delete result[field];
    else result[field] = isObject(value) && isObject(result[field]) ? merged(result[field], value) : value;
  }
  return result;
}

function manifest(kind: string, name: string, spec: Fields): string {
  return JSON.stringify({ apiVersion: 'stemma.dev/v1alpha1', kind, metadata: { name }, spec });
}

describeWithKube('the CRDs', () => {
  let kube: RealKube;

  beforeAll(async () => {
    kube = await openRealKube();
    await kube.installKinds();
  });
  afterAll(() => kube?.dispose());

  test('have schemas that are structural and hold nothing the server does not keep', async () => {
    const { items } = JSON.parse(await kube.kubectlOk(['get', 'crd', '-o', 'json'])) as { items: { status: { conditions: { type: string; status: string; message: string }[] } }[] };
    expect(items).toHaveLength(2);
    expect(items.flatMap(({ status }) => status.conditions).filter(({ type }) => type === 'NonStructuralSchema')).toEqual([]);
    const text = await kube.kubectlOk(['get', 'crd', 'trainingruns.stemma.dev', '-o', 'json']);
    expect(text).toContain('x-kubernetes-preserve-unknown-fields');
  });

  test('fill in the defaults', async () => {
    await kube.kubectlOk(['apply', '-f', '-'], manifest('TrainingRun', 'defaults', VALID['TrainingRun']!));
    const { spec } = JSON.parse(await kube.kubectlOk(['get', 'trun', 'defaults', '-o', 'json'])) as TrainingRun;
    expect(spec).toEqual({
      recipe: { name: 'micro' }, embedded: true, seed: 1, overrides: [], suspend: false, device: 'cpu', threads: 2,
      retention: { podsAfterEndSeconds: 600, volume: 'Delete', drainSeconds: 120 },
      roles: { rollout: { replicas: { min: 1, max: 4, episodesPerReplica: 64 } }, teacherScoring: { replicas: { min: 1, max: 4, episodesPerReplica: 64 } } },
    });
  });

  test('keep the value of an override, whatever its type', async () => {
    const values = [1, 0.5, true, 'token-mean', { enabled: true }, [1, 2]];
    const overrides = values.map((value, at) => ({ stage: `s${at}`, path: 'a.b', value }));
    await kube.kubectlOk(['apply', '-f', '-'], manifest('TrainingRun', 'values', { ...VALID['TrainingRun'], overrides }));
    const { spec } = JSON.parse(await kube.kubectlOk(['get', 'trun', 'values', '-o', 'json'])) as TrainingRun;
    expect(spec.overrides.map(({ value }) => value)).toEqual(values);
  });

  test('refuse what cannot be, in words that say what to change', async () => {
    const cases = parse(readFileSync(join(import.meta.dirname, 'refusals.yaml'), 'utf8')) as Refused[];
    for (const [kind, spec] of Object.entries(VALID)) await kube.kubectlOk(['apply', '-f', '-'], manifest(kind, 'valid', spec));
    const taken: string[] = [];
    const said: string[] = [];
    for (const { what, kind = 'TrainingRun', name = 'refused', spec, change } of cases) {
      const answer = change === undefined
        ? await kube.kubectl(['create', '-f', '-'], manifest(kind, name, merged(VALID[kind]!, spec ?? {})))
        : await kube.kubectl(['apply', '-f', '-'], manifest(kind, 'valid', merged(VALID[kind]!, change)));
      if (answer.code === 0) taken.push(what);
      said.push(`# ${what}\n${answer.stderr.trim()}\n`);
    }
    expect(taken).toEqual([]);
    expect(cases.length).toBeGreaterThanOrEqual(25);
    await expect(said.join('\n')).toMatchFileSnapshot('refusals.golden.txt');
  });

  test('explain every field', async () => {
    const explained = await kube.kubectlOk(['explain', 'trainingrun', '--recursive']);
    for (const field of ['recipe', 'overrides', 'suspend', 'embedded', 'teacherPool', 'retention', 'roles', 'conditions']) expect(explained).toContain(field);
    for (const path of ['trainingrun', 'trainingrun.spec', 'trainingrun.spec.roles.rollout.replicas', 'trainingrun.status', 'teacher.spec']) {
      const text = await kube.kubectlOk(['explain', path]);
      expect(text, path).not.toContain('<no description>');
    }
  });
});
