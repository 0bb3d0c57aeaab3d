/** The overlays, rendered by kubectl, are held to our rules and to the API server's, Pod Security among them. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { packageRoot } from '../../../services/runtime/package-root.js';
import { policyProblems, type ClusterObject } from '../../support/cluster-policy.js';
import { describeWithKube, openRealKube, type RealKube } from '../../support/real-kube.js';

const OVERLAYS = ['base', 'overlays/dev', 'overlays/gpu', 'overlays/prod'];

describeWithKube('the manifests', () => {
  let kube: RealKube;
  beforeAll(async () => {
    kube = await openRealKube();
    await kube.installKinds();
  });
  afterAll(() => kube?.dispose());

  const rendered = (name: string): Promise<string> => kube.kubectlOk(['kustomize', join(packageRoot(), 'k8s', name)]);
  const objectsOf = (text: string): ClusterObject[] => parseAllDocuments(text).map((document) => document.toJS() as ClusterObject);

  test.each(OVERLAYS)('%s keeps our rules', async (name) => {
    const objects = objectsOf(await rendered(name));
    expect(policyProblems(objects)).toEqual([]);
    expect(objects.map(({ kind }) => kind)).not.toContain('CustomResourceDefinition');
  });

  test.each(OVERLAYS)('%s is taken by the API server as it is, without a warning, and a second time changes nothing', async (name) => {
    const text = await rendered(name);
    const namespaces = objectsOf(text).filter(({ kind }) => kind === 'Namespace');
    await kube.kubectlOk(['apply', '--server-side', '-f', '-'], namespaces.map((each) => JSON.stringify(each)).join('\n---\n'));
    const dry = await kube.kubectl(['apply', '--server-side', '--dry-run=server', '--field-manager=test', '-f', '-'], text);
    expect(dry).toMatchObject({ code: 0, stderr: '' });
    const apply = async (): Promise<string[]> => (await kube.kubectlOk(['apply', '--server-side', '--field-manager=test', '-f', '-', '-o', 'jsonpath={.kind}/{.metadata.name} {.metadata.resourceVersion}{"\\n"}'], text)).split('\n');
    expect(await apply()).toEqual(await apply());
  });

  test('dev brings what a run on its services names', async () => {
    const objects = objectsOf(await rendered('overlays/dev'));
    const services = objects.filter(({ kind }) => kind === 'Service').map(({ metadata: { name, namespace } }) => `${name}.${namespace}.svc`);
    expect(services.sort()).toEqual(['kafka.stemma-system.svc', 'temporal.stemma-system.svc']);
    const kafka = objects.find(({ kind, metadata: { name } }) => kind === 'StatefulSet' && name === 'kafka');
    expect(kafka?.spec?.template?.spec.containers[0]?.env).toContainEqual({ name: 'ADVERTISED', value: 'kafka.stemma-system.svc:9092' });
  });

  test('prod takes nothing from this machine', async () => {
    const text = await rendered('overlays/prod');
    expect(text).not.toContain('docker.io/local/');
    expect(objectsOf(text).find(({ metadata: { name }, kind }) => kind === 'Deployment' && name === 'stemma-operator')?.spec?.replicas).toBe(2);
  });
});
