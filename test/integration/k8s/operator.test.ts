/** The operator against a real API server: nothing of it is replaced but the pods, which no node runs, and the computing behind the gateway. */
import { describe, expect, test } from 'vitest';
import { conditionOf, runIdOf, type TrainingRun } from '../../../k8s/operator/training-run.js';
import { pathOf, type KubeObject, type Workload } from '../../../k8s/operator/resources.js';
import { kubeScene, NAME, reasonOf as reason, until } from '../../support/kube-scene.js';
import { describeWithKube } from '../../support/real-kube.js';
import { meaningOf, ownedObjects, readRun } from '../../support/test-operator.js';
import { ON_A_CLUSTER, RECIPE_TEXT } from '../../support/training-runs.js';

describeWithKube('the operator', () => {
  const scene = kubeScene();
  const { operator, create, patch, when, kubectl, newNamespace, afterLooks } = scene;
  const statefulSet = (): Promise<Workload> => scene.kube().api.call({ method: 'GET', path: pathOf('StatefulSet', scene.namespace(), NAME) });

  describe('one run', () => {
    test('goes from apply to Completed, told once of each wish, and leaves nothing behind', async () => {
      operator();
      await create({ overrides: [{ stage: 'sft', path: 'optimizer.learningRate', value: 0.002 }] });
      const running = await when((run) => run.status?.phase === 'Running');
      const id = runIdOf(running);
      expect(running.status).toMatchObject({ run: id, stage: 'sft', observedGeneration: 1, overrides: [{ stage: 'sft', path: 'optimizer.learningRate', valueJson: '0.002', fromStep: 1 }] });
      expect([...(await ownedObjects(scene.kube(), scene.namespace())).keys()]).toEqual([
        'ConfigMap/first-recipe', 'Service/first-gateway', 'PersistentVolumeClaim/first', 'StatefulSet/first', 'NetworkPolicy/first', 'Secret/first-gateway-key',
      ]);
      expect(await kubectl('get', 'trun', NAME)).toMatch(/Running +sft +0/);

      await patch({ overrides: [{ stage: 'sft', path: 'optimizer.learningRate', value: 0.004 }] });
      const amended = await when((run) => run.status?.observedGeneration === 2 && reason(run, 'Amended') === 'InForce');
      expect(amended.status?.overrides).toEqual([{ stage: 'sft', path: 'optimizer.learningRate', valueJson: '0.004', fromStep: 2 }]);

      await patch({ suspend: true });
      await when((run) => run.status?.phase === 'Suspended');
      await until('its pod is given back', async () => (await statefulSet()).spec?.replicas === 0);
      await patch({ suspend: false });
      await when((run) => run.status?.phase === 'Running' && reason(run, 'Suspended') === 'NotSuspended');
      expect((await statefulSet()).spec?.replicas).toBe(1);

      await scene.gateway().end(id);
      await kubectl('wait', '--for=condition=Completed', `trun/${NAME}`, '--timeout=60s');
      expect(await scene.gateway().facts(id)).toEqual(['runCreated', 'stageStarted', 'settingAmended', 'runPaused', 'runResumed', 'runFinished']);

      await kubectl('delete', 'trun', NAME, '--timeout=60s');
      expect([...(await ownedObjects(scene.kube(), scene.namespace())).keys()]).toEqual([]);
      const told = await kubectl('get', 'events', '-o', 'jsonpath={.items[*].reason}');
      expect(told.split(' ')).toEqual(expect.arrayContaining(['RecipeFrozen', 'InLog', 'Training', 'Suspended', 'Finished']));
    });

    test('is stopped before its object goes', async () => {
      operator();
      const id = runIdOf(await create({}));
      await when((run) => run.status?.phase === 'Running');
      await kubectl('delete', 'trun', NAME, '--timeout=60s');
      expect((await scene.gateway().facts(id)).at(-1)).toBe('runStopped');
      expect([...(await ownedObjects(scene.kube(), scene.namespace())).keys()]).toEqual([]);
    });

    test('leaves its volume where it shall stay', async () => {
      operator();
      await create({ retention: { volume: 'Retain', drainSeconds: 0 } });
      await when((run) => run.status?.phase === 'Running');
      await kubectl('delete', 'trun', NAME, '--timeout=60s');
      expect([...(await ownedObjects(scene.kube(), scene.namespace())).keys()]).toEqual(['PersistentVolumeClaim/first']);
    });

    test('has a pod for each role on a cluster, and waits for the teachers of its pool', async () => {
      operator();
      await create({ ...ON_A_CLUSTER, teacherPool: 'shared' });
      const waiting = await when((run) => reason(run, 'TeachersReady') === 'PoolLacksDomain');
      expect(waiting.status).toMatchObject({ phase: 'Pending', message: expect.stringContaining('pool shared has no ready Teacher for') as string });
      expect(scene.gateway().submitted).toEqual([]);
      for (const domain of ['search', 'science', 'instruction', 'tools']) {
        await scene.kube().api.call({
          method: 'POST', path: pathOf('Teacher', scene.namespace()), body: {
            apiVersion: 'stemma.dev/v1alpha1', kind: 'Teacher', metadata: { name: domain },
            spec: { pool: 'shared', domain, checkpoint: { run: 'r', stage: 's' }, log: ON_A_CLUSTER.log, blobs: ON_A_CLUSTER.blobs },
          },
        });
        const path = pathOf('Deployment', scene.namespace(), `${domain}-teacher`);
        await until(`${domain}'s Deployment`, () => scene.kube().api.call({ method: 'GET', path }).then(() => true, () => false));
        await scene.kube().api.call({ method: 'PATCH', path: `${path}/status`, contentType: 'application/merge-patch+json', body: { status: { replicas: 1, readyReplicas: 1 } } });
      }
      await when((run) => run.status?.phase === 'Running' && reason(run, 'TeachersReady') === 'PoolReady');
      const names = [...(await ownedObjects(scene.kube(), scene.namespace())).keys()].filter((key) => key.startsWith('Deployment/first'));
      expect(names.sort()).toEqual(['distiller', 'gateway', 'learner', 'rollout', 'worker'].map((role) => `Deployment/first-${role}`));
    });

    test('takes its recipe from a ConfigMap that comes later, once and for all', async () => {
      operator();
      await create({ recipe: { configMap: { name: 'mine' } } });
      await when((run) => reason(run, 'Resolved') === 'ConfigMapMissing');
      const configMap = (text: string): object => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'mine' }, data: { 'recipe.yaml': text } });
      await scene.kube().api.call({ method: 'POST', path: pathOf('ConfigMap', scene.namespace()), body: configMap(RECIPE_TEXT) });
      await when((run) => run.status?.phase === 'Running');
      await scene.kube().api.call({ method: 'PUT', path: pathOf('ConfigMap', scene.namespace(), 'mine'), body: configMap('name: other') });
      await afterLooks(3);
      expect(reason(await readRun(scene.kube(), scene.namespace(), NAME), 'Resolved')).toBe('RecipeFrozen');
    });

    test('says every problem of its recipe, with lines, and of its overrides', async () => {
      operator();
      await create({ recipe: { inline: RECIPE_TEXT.replace('steps: 3', 'steps: none').replace('kind: sft', 'kind: what') } });
      const invalid = await when((run) => reason(run, 'Resolved') === 'RecipeInvalid');
      expect(invalid.status?.phase).toBe('Failed');
      expect(conditionOf(invalid, 'Resolved')?.message).toMatch(/stages\[0\].*\(line \d+\)/);
      await kubectl('wait', '--for=condition=Failed', `trun/${NAME}`, '--timeout=20s');
      await kubectl('delete', 'trun', NAME, '--timeout=60s');
      await create({ overrides: [{ stage: 'sft', path: 'batchSize', value: 'many' }, { stage: 'nowhere', path: 'a', value: 1 }] });
      const overridden = await when((run) => reason(run, 'Resolved') === 'RecipeInvalid');
      expect(conditionOf(overridden, 'Resolved')?.message).toMatch(/batchSize is a number, not a string\n.*there is no stage nowhere/);
      await patch({ overrides: [] });
      await when((run) => run.status?.phase === 'Running');
    });
  });

  test('writes nothing at rest, whatever is listed anew', async () => {
    const { calls, writes } = operator({ timing: { relistSeconds: 1 } });
    await create({});
    await when((run) => run.status?.phase === 'Running');
    await afterLooks(3);
    const versions = async (): Promise<string[]> => [...await ownedObjects(scene.kube(), scene.namespace())].map(([key, { metadata }]) => `${key} ${metadata.resourceVersion}`);
    const run = await readRun(scene.kube(), scene.namespace(), NAME);
    const before = { writes: writes().length, objects: await versions(), run: run.metadata.resourceVersion };
    const settledAt = calls.length;
    const lists = (): number => calls.filter(({ method, query }) => method === 'GET' && query?.['limit'] !== undefined).length;
    const listed = lists();
    await until('two more rounds of lists', () => lists() >= listed + 18);
    await afterLooks(10);
    const after = { writes: writes().length, objects: await versions(), run: (await readRun(scene.kube(), scene.namespace(), NAME)).metadata.resourceVersion };
    expect(after).toEqual(before);
    // Nor does it read: what it knows of the API server it was told.
    const reads = calls.slice(settledAt).filter(({ query }) => query?.['limit'] === undefined);
    expect(reads).toEqual([]);
  });

  test('puts back what was changed, and reports what another manager has taken', async () => {
    const { writes } = operator();
    await create({});
    await when((run) => run.status?.phase === 'Running');
    await kubectl('delete', 'service', `${NAME}-gateway`);
    await until('the Service is back', async () => (await ownedObjects(scene.kube(), scene.namespace())).has(`Service/${NAME}-gateway`));

    const owned = { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: { name: NAME, namespace: scene.namespace() } };
    const asSomeone = (body: object, force: string): Promise<KubeObject> => scene.kube().api.call({
      method: 'PATCH', path: pathOf('StatefulSet', scene.namespace(), NAME), query: { fieldManager: 'someone', force }, contentType: 'application/apply-patch+yaml', body: { ...owned, ...body },
    });
    await asSomeone({ spec: { replicas: 3 } }, 'true');
    const reported = await when((run) => reason(run, 'Applied') === 'FieldConflict');
    expect(conditionOf(reported, 'Applied')?.message).toMatch(/StatefulSet first: 1 conflict.*"someone".*\.spec\.replicas/);
    expect(reported.status?.phase).toBe('Running');
    // The status says it before the event that tells of the change is written.
    await afterLooks(2);
    const told = writes().length;
    await afterLooks(10);
    expect(writes().length).toBe(told);
    expect((await statefulSet()).spec?.replicas).toBe(3);

    await asSomeone({}, 'false');
    await when((run) => reason(run, 'Applied') === 'AsWanted');
    expect((await statefulSet()).spec?.replicas).toBe(1);
  });

  test('converges to the same objects and facts wherever it is killed (20 seeds)', async () => {
    const spec = { ...ON_A_CLUSTER, overrides: [{ stage: 'sft', path: 'batchSize', value: 8 }] };
    const settled = (run: TrainingRun): boolean => run.status?.phase === 'Running' && reason(run, 'Amended') === 'InForce' && reason(run, 'Applied') === 'AsWanted' && run.status.observedGeneration === run.metadata.generation;
    const amendedAndSuspended = async (): Promise<TrainingRun> => {
      await when(settled);
      await patch({ suspend: true, overrides: [{ stage: 'sft', path: 'batchSize', value: 4 }] });
      return when((run) => run.status?.phase === 'Suspended' && reason(run, 'Amended') === 'InForce' && conditionOf(run, 'Applied')?.status === 'True');
    };
    const outcome = async (run: TrainingRun): Promise<unknown> => {
      await until('the computing pods are given back', async () => [...await ownedObjects(scene.kube(), run.metadata.namespace ?? '')].every(([key, object]) => !/learner|rollout/.test(key) || !key.startsWith('Deployment') || (object as Workload).spec?.replicas === 0));
      const { conditions, overrides, phase } = (await readRun(scene.kube(), run.metadata.namespace ?? '', NAME)).status!;
      return {
        objects: meaningOf(await ownedObjects(scene.kube(), run.metadata.namespace ?? '')), facts: await scene.gateway().facts(runIdOf(run)), phase, overrides,
        conditions: conditions!.map(({ type, status, reason: why }) => [type, status, why]),
      };
    };
    const undisturbed = operator();
    await create(spec);
    const expected = await outcome(await amendedAndSuspended());
    const writes = undisturbed.writes().length;
    await undisturbed.close();
    expect(writes).toBeGreaterThan(20);

    const killedAt = new Set<number>();
    for (let seed = 0; seed < 20; seed += 1) {
      await newNamespace();
      // Spread over all writes of a whole life, before and after their arrival. Not every life has the same number: looks may fall together.
      const atWrite = 1 + Math.floor((seed * (writes - 2)) / 20);
      const victim = operator({ kill: { atWrite, arrives: seed % 2 === 0 } });
      await create(spec);
      const life = amendedAndSuspended();
      await Promise.race([victim.killed.then(() => killedAt.add(atWrite)), life]);
      await victim.close();
      const heir = operator();
      expect(await outcome(await life), `killed at write ${atWrite}`).toEqual(expected);
      await heir.close();
    }
    expect(killedAt.size).toBeGreaterThanOrEqual(14);
  }, 170_000);
});
