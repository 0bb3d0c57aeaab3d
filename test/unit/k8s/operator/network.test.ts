import { describe, expect, test } from 'vitest';
import { runNetwork, teacherNetwork } from '../../../../k8s/operator/network.js';
import type { Surroundings } from '../../../../k8s/operator/training-run.js';

interface Policy {
  readonly ingress: readonly { readonly from: readonly object[]; readonly ports: readonly { readonly port: number }[] }[];
  readonly egress: readonly { readonly to?: readonly object[]; readonly ports: readonly { readonly port: number }[] }[];
}
const network = (surroundings: Partial<Surroundings>, embedded = false): Policy =>
  runNetwork({ pods: { run: 'r' }, scoring: { pool: 'p' }, surroundings: { device: 'cpu', threads: 2, ...surroundings }, embedded, operatorNamespace: 'ops' }) as Policy;
const portsOut = (policy: Policy): number[][] => policy.egress.map(({ ports }) => ports.map(({ port }) => port));

describe('whom a run may speak with', () => {
  test('itself, its scoring pods, and the ports of what it shares', () => {
    const policy = network({ log: { brokers: ['a:9092', 'b:9093'], tls: false }, temporal: { address: 't:7233' }, blobs: { bucket: 's3://weights?endpoint=http://minio:9000' } });
    expect(portsOut(policy)).toEqual([[53, 53], [7300], [7301], [7233, 9000, 9092, 9093]]);
    expect(policy.egress[2]?.to).toEqual([{ podSelector: { matchLabels: { pool: 'p' } } }]);
    expect(policy.ingress.map(({ ports }) => ports[0]?.port)).toEqual([7300, 7301, 9464]);
    expect(policy.ingress[0]?.from[0]).toMatchObject({ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'ops' } } });
  });

  test.each([['s3://weights', 443], ['s3://weights?endpoint=https://s3.example.com', 443], ['s3://weights?endpoint=http://s3.example.com', 80]])('%s is reached at port %d', (bucket, port) => {
    expect(portsOut(network({ blobs: { bucket } })).at(-1)).toEqual([port]);
  });

  test('nobody, where it is embedded: it answers, and asks itself only', () => {
    const policy = network({}, true);
    expect(policy.egress).toEqual([]);
    expect(policy.ingress.map(({ ports }) => ports[0]?.port)).toEqual([7300, 9464]);
  });

  test('a teacher answers the runs of its namespace', () => {
    const policy = teacherNetwork({ teacher: 't' }, 'stemma.dev/run', { device: 'cpu', threads: 2, log: { brokers: ['a:9092'], tls: false }, blobs: { claim: 'c' } }) as Policy;
    expect(policy.ingress[0]).toEqual({ from: [{ podSelector: { matchExpressions: [{ key: 'stemma.dev/run', operator: 'Exists' }] } }], ports: [{ port: 7301, protocol: 'TCP' }] });
    expect(portsOut(policy)).toEqual([[53, 53], [9092]]);
  });
});
