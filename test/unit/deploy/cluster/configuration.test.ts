/** What the parts of the cluster are told agrees with what is written and mounted for them. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { COMPONENTS } from '../../../../deploy/cluster/components.mjs';
import { configurationFiles } from '../../../../deploy/cluster/configuration.mjs';
import { USERS } from '../../../../deploy/cluster/credentials.mjs';
import { INSIDE, SEEN, STATE, VOLUMES } from '../../../../deploy/cluster/layout.mjs';

const files = configurationFiles();
const told = [...COMPONENTS.flatMap(({ args }) => args), ...Object.values(files)].join('\n');
const script = readFileSync(INSIDE, 'utf8');

test('every kubeconfig that a part is told of is written, for a user of its own', () => {
  const named = [...told.matchAll(/kubeconfigs\/([\w-]+)\.json/g)].map(([, name]) => name);
  expect(new Set(named).size).toBe(5);
  expect(Object.keys(USERS)).toEqual(expect.arrayContaining([...new Set(named)]));
  expect(new Set(Object.values(USERS).map(([user]) => user)).size).toBe(Object.keys(USERS).length);
});

test('every configuration file that a part is told of is written', () => {
  const named = COMPONENTS.flatMap(({ args }) => args).flatMap((arg) => /state\/([\w.-]+\.(?:json|toml)|Corefile)$/.exec(arg)?.[1] ?? []);
  expect(named.length).toBeGreaterThanOrEqual(4);
  expect(Object.keys(files)).toEqual(expect.arrayContaining(named));
});

test('parts see places that the script mounts, and none of this machine', () => {
  expect(told).not.toContain(STATE);
  for (const place of [SEEN.state, SEEN.kube, SEEN.node, SEEN.cni]) expect(script).toMatch(new RegExp(`^mount --bind "\\$\\w+" ${place}$`, 'm'));
  expect(script).toContain(`mount --bind "$state/volumes" ${VOLUMES}`);
});

test('etcd comes before the API server, and containerd before the kubelet', () => {
  const order = COMPONENTS.map(({ name }) => name);
  expect(order.indexOf('etcd')).toBeLessThan(order.indexOf('kube-apiserver'));
  expect(order.indexOf('containerd')).toBeLessThan(order.indexOf('kubelet'));
});
