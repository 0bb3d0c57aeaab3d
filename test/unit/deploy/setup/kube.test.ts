import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { prepareKube, versionIn } from '../../../../deploy/setup/kube-step.mjs';
import { createProgress } from '../../../../deploy/setup/progress.mjs';

const progress = createProgress(() => undefined);

describe('the Kubernetes step', () => {
  let directory: string;
  const before = process.env['STEMMA_TEST_KUBE'];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'stemma-kube-'));
    process.env['STEMMA_TEST_KUBE'] = directory;
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
    if (before === undefined) delete process.env['STEMMA_TEST_KUBE'];
    else process.env['STEMMA_TEST_KUBE'] = before;
  });

  test('takes a folder that it is given, and says what is missing there', async () => {
    for (const name of ['kube-apiserver', 'kubectl']) writeFileSync(join(directory, name), '');
    await expect(prepareKube(progress)).rejects.toThrow(`STEMMA_TEST_KUBE=${directory} lacks kube-controller-manager, etcd.`);
    for (const name of ['kube-controller-manager', 'etcd']) writeFileSync(join(directory, name), '');
    expect(await prepareKube(progress)).toEqual({ executable: directory, version: 'given', source: 'STEMMA_TEST_KUBE' });
  });

  test('reads its version from the module that it builds', () => {
    const goMod = readFileSync(join(import.meta.dirname, '../../../../deploy/kube/go.mod'), 'utf8');
    expect(versionIn(goMod)).toMatch(/^1\.\d+\.\d+$/);
    expect(() => versionIn('module x\n')).toThrow('does not name k8s.io/kubernetes');
  });
});
