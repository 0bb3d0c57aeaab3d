import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { desiredObjects, type PodsWanted } from '../../../../k8s/operator/desired.js';
import type { Desired } from '../../../../k8s/operator/pod.js';
import { kindKeyOf } from '../../../../k8s/operator/resources.js';
import { desiredTeacher } from '../../../../k8s/operator/teachers.js';
import type { TrainingRunSpec } from '../../../../k8s/operator/training-run.js';
import { readConfig } from '../../../../services/runtime/config.js';
import { assertConfigured, ROLES, type Role } from '../../../../services/roles/role.js';
import { frozenRecipe, ON_A_CLUSTER, teacher, trainingRun } from '../../../support/training-runs.js';

const ON: PodsWanted = { computing: true, steering: true };
const OFF: PodsWanted = { computing: false, steering: false };

function desired(spec: Partial<TrainingRunSpec>, pods = ON, replicas = { rollout: 3, teacherScoring: 2 }): Desired[] {
  return desiredObjects({ run: trainingRun({ spec }), image: 'stemma:1', operatorNamespace: 'stemma-system', pods, replicas, frozen: frozenRecipe() });
}

interface Container {
  readonly image: string;
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly resources: { readonly limits?: { readonly [name: string]: unknown } };
  readonly securityContext: object;
  readonly readinessProbe: { readonly httpGet: { readonly scheme: string } };
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
}

interface Pods {
  readonly replicas: number;
  readonly selector: { readonly matchLabels: { readonly [name: string]: string } };
  readonly template: {
    readonly metadata: { readonly labels: { readonly [name: string]: string } };
    readonly spec: {
      readonly containers: readonly [Container]; readonly volumes: readonly { readonly name: string; readonly secret?: { readonly secretName?: string } }[];
      readonly securityContext: { readonly runAsNonRoot: boolean }; readonly automountServiceAccountToken: boolean; readonly enableServiceLinks: boolean;
    };
  };
}

const podsOf = (object: Desired): Pods => object['spec'] as Pods;
const workloads = (objects: readonly Desired[]): Desired[] => objects.filter(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet');

const anySpec: fc.Arbitrary<Partial<TrainingRunSpec>> = fc.record({
  where: fc.constantFrom<Partial<TrainingRunSpec>>({ embedded: true }, ON_A_CLUSTER, { ...ON_A_CLUSTER, teacherPool: 'shared' }, { ...ON_A_CLUSTER, blobs: { bucket: 's3://b/p', secret: 'keys' } }),
  device: fc.constantFrom('cpu' as const, 'cuda' as const), queueName: fc.constantFrom(undefined, 'queue'),
  retention: fc.constantFrom('Delete' as const, 'Retain' as const).map((volume) => ({ podsAfterEndSeconds: 0, volume, drainSeconds: 1 })),
}).map(({ where, ...rest }) => ({ ...where, ...rest }));

describe('the objects of a run', () => {
  test('are named once each, owned by the run and found by its label, whatever the spec', () => {
    fc.assert(fc.property(anySpec, (spec) => {
      const objects = desired(spec);
      expect(new Set(objects.map(kindKeyOf)).size).toBe(objects.length);
      for (const { kind, metadata } of objects) {
        expect(metadata.labels).toMatchObject({ 'stemma.dev/run': 'tiny-run', 'app.kubernetes.io/managed-by': 'stemma-operator' });
        const owned = metadata.ownerReferences?.length === 1;
        expect(owned).toBe(!(kind === 'PersistentVolumeClaim' && spec.retention?.volume === 'Retain'));
        expect(metadata.name.length).toBeLessThanOrEqual(63);
      }
    }));
  });

  test('are the same for the same spec, and pods do not depend on how many there are', () => {
    fc.assert(fc.property(anySpec, (spec) => {
      expect(desired(spec)).toEqual(desired(spec));
      const templates = (pods: PodsWanted): unknown[] => workloads(desired(spec, pods)).map((object) => podsOf(object).template);
      expect(templates(OFF)).toEqual(templates(ON));
    }));
  });

  test('have pods that may do nothing but their work', () => {
    fc.assert(fc.property(anySpec, (spec) => {
      for (const object of workloads(desired(spec))) {
        const { selector, template } = podsOf(object);
        const { containers: [container], volumes, ...pod } = template.spec;
        expect(template.metadata.labels).toMatchObject(selector.matchLabels);
        expect(pod).toMatchObject({ automountServiceAccountToken: false, enableServiceLinks: false, securityContext: { runAsNonRoot: true } });
        expect(container.securityContext).toEqual({ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } });
        expect(container.volumeMounts.map(({ name }) => name)).toEqual(volumes.map(({ name }) => name));
        expect(container.volumeMounts.map(({ mountPath }) => mountPath)).toContain('/tmp');
      }
    }));
  });

  test('start every role with settings that it accepts', () => {
    const started = workloads(desired(ON_A_CLUSTER)).map((object) => podsOf(object).template.spec.containers[0]);
    expect(started.map(({ args }) => args[1]).sort()).toEqual([...ROLES].sort());
    for (const { args, env } of started) {
      const config = readConfig({ STEMMA_PYTHON: '/usr/bin/python3', ...Object.fromEntries(env.map(({ name, value }) => [name, value])) });
      expect(() => assertConfigured(args[1] as Role, config)).not.toThrow();
      expect(config).toMatchObject({ listenHost: '0.0.0.0', log: { kind: 'kafka', brokers: ['kafka.data.svc:9092'] }, ports: { metrics: 9464 } });
    }
  });

  test('are one pod with its own volume where the run is embedded', () => {
    const objects = desired({ embedded: true });
    expect(objects.map(({ kind }) => kind)).toEqual(['ConfigMap', 'NetworkPolicy', 'PersistentVolumeClaim', 'Service', 'StatefulSet']);
    const { replicas, template: { spec: { containers: [{ args, env, image }] } } } = podsOf(objects[4]!);
    expect({ replicas, args, image }).toEqual({ replicas: 1, args: ['up'], image: 'stemma:1' });
    expect(readConfig(Object.fromEntries(env.map(({ name, value }) => [name, value]))).log).toEqual({ kind: 'embedded' });
  });

  test('ask for a GPU wherever something computes, and nowhere else', () => {
    const gpus = workloads(desired({ ...ON_A_CLUSTER, device: 'cuda' })).map((object) => podsOf(object).template.spec.containers[0])
      .map(({ args, resources }) => [args[1], resources.limits?.['nvidia.com/gpu'] ?? '0']);
    expect(Object.fromEntries(gpus)).toEqual({ gateway: '0', worker: '0', learner: '1', distiller: '1', rollout: '1', 'teacher-scoring': '1' });
  });

  test('keep the gateway while nothing computes, and no pod when all is over', () => {
    const counts = (pods: PodsWanted) => Object.fromEntries(workloads(desired(ON_A_CLUSTER, pods)).map((object) => [object.metadata.name.replace('tiny-run-', ''), podsOf(object).replicas]));
    expect(counts(ON)).toEqual({ gateway: 1, worker: 1, learner: 1, distiller: 1, rollout: 3, 'teacher-scoring': 2 });
    expect(counts({ computing: false, steering: true })).toEqual({ gateway: 1, worker: 1, learner: 0, distiller: 0, rollout: 0, 'teacher-scoring': 0 });
    expect(Object.values(counts(OFF))).toEqual([0, 0, 0, 0, 0, 0]);
  });

  test('leave scoring to a pool', () => {
    const objects = desired({ ...ON_A_CLUSTER, teacherPool: 'shared' });
    expect(objects.some(({ metadata: { name }, kind }) => kind === 'Deployment' && name.endsWith('teacher-scoring'))).toBe(false);
    const service = objects.find(({ kind, metadata: { name } }) => kind === 'Service' && name === 'tiny-run-scoring') as unknown as { spec: { selector: { [name: string]: string } } };
    const [deployment] = desiredTeacher(teacher('search', 0), 'stemma:1');
    expect(podsOf(deployment!).template.metadata.labels).toMatchObject(service.spec.selector);
  });

  test('name secrets and never hold them', () => {
    const objects = desired({
      ...ON_A_CLUSTER, log: { brokers: ['b:1'], tls: true, caSecret: { name: 'kafka-ca', key: 'ca.crt' }, sasl: { mechanism: 'plain', user: 'stemma', passwordSecret: { name: 'kafka-login', key: 'password' } } },
    });
    const [container] = podsOf(workloads(objects)[0]!).template.spec.containers;
    expect(Object.fromEntries(container.env.map(({ name, value }) => [name, value]))).toMatchObject({
      STEMMA_KAFKA_TLS: 'on', STEMMA_KAFKA_CA_FILE: '/etc/stemma/secrets/ca/ca.crt', STEMMA_KAFKA_SASL: 'plain', STEMMA_KAFKA_USER: 'stemma', STEMMA_KAFKA_PASSWORD_FILE: '/etc/stemma/secrets/sasl/password',
    });
    expect(container.volumeMounts.filter(({ name }) => name.startsWith('secret-')).every(({ readOnly }) => readOnly)).toBe(true);
  });

  test('show certificates where the spec names them, each role its own where it says so, and say what is plain where it does not', () => {
    const settingsIn = (spec: Partial<TrainingRunSpec>) => workloads(desired(spec)).map((object) => {
      const { containers: [{ args, env, readinessProbe }], volumes } = podsOf(object).template.spec;
      const settings = Object.fromEntries(env.map(({ name, value }) => [name, value]));
      const secret = volumes.find(({ name }) => name === 'secret-tls')?.secret?.secretName;
      return { role: args[1], secret, settings, scheme: readinessProbe.httpGet.scheme };
    });
    const secured = settingsIn({ ...ON_A_CLUSTER, temporal: { address: 'temporal.data.svc:7233', tls: true }, log: { brokers: ['kafka.data.svc:9092'], tls: true }, tls: { secret: 'micro', perRole: true } });
    for (const { role, secret, settings, scheme } of secured) {
      expect({ secret, scheme, insecure: settings['STEMMA_INSECURE'], temporal: settings['STEMMA_TEMPORAL_TLS'] }).toEqual({ secret: `micro-${role}`, scheme: 'HTTPS', insecure: undefined, temporal: 'on' });
      expect(readConfig({ STEMMA_PYTHON: '/py', ...settings }).tls).toEqual({ certFile: '/etc/stemma/secrets/tls/tls.crt', keyFile: '/etc/stemma/secrets/tls/tls.key', caFile: '/etc/stemma/secrets/tls/ca.crt' });
    }
    expect(settingsIn({ embedded: true, tls: { secret: 'one', perRole: false } }).map(({ secret }) => secret)).toEqual(['one']);
    const plain = settingsIn(ON_A_CLUSTER);
    expect(Object.fromEntries(plain.map(({ role, settings }) => [role, settings['STEMMA_INSECURE']]))).toEqual({
      gateway: 'listen,temporal,kafka', worker: 'listen,temporal,kafka', rollout: 'listen,temporal,kafka', 'teacher-scoring': 'listen,temporal,kafka',
      learner: 'listen,scoring,temporal,kafka', distiller: 'listen,scoring,temporal,kafka',
    });
  });
});
