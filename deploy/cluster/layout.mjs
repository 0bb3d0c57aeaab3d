// Where the cluster on one machine keeps things, and its addresses. One a machine, whichever clone starts it.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CACHE } from '../setup/layout.mjs';

/** Everything that the cluster writes on this machine; `--down` removes it. */
export const STATE = join(CACHE, 'cluster');
export const KUBECONFIG = join(STATE, 'kubeconfig');
export const LOGS = join(STATE, 'logs');
/** Where the in-tree provisioner of the controller manager makes volumes; it has no setting for it. */
export const VOLUMES = '/tmp/hostpath_pv';
/** Of all pods: where containerd puts those of Kubernetes whose kubelet does not say otherwise. */
export const CGROUP = '/k8s.io';

export const NODE = 'stemma';
/** This machine's end of the wire into the cluster; it goes with the cluster's network namespace. */
export const WIRE = 'stemma-cluster';
export const ADDRESSES = { host: '10.87.0.1', node: '10.87.0.2', wire: '10.87.0.0/30', pods: '10.88.0.0/16', services: '10.96.0.0/16' };
export const API_PORT = 6443;
export const SERVER = `https://${ADDRESSES.node}:${API_PORT}`;
/** The user of our images. The controller manager runs as it too, so that the volumes it makes are theirs. */
export const IMAGE_USER = 10_001;

const HERE = dirname(fileURLToPath(import.meta.url));
export const INSIDE = join(HERE, 'inside.sh');
export const SUPERVISOR = join(HERE, 'supervisor.mjs');
export const OBJECTS = join(HERE, 'objects.yaml');

/** The same things as the processes of the cluster see them: inside.sh mounts them there. */
export const SEEN = {
  state: '/run/stemma/state', kube: '/run/stemma/kube', node: '/run/stemma/node', cni: '/run/stemma/cni',
  containerd: '/run/containerd/containerd.sock',
};
