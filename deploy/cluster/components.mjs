// The parts of the cluster in the order in which they start, each with what tells that it answers. Paths are as they see them.
import { kubeconfigOf } from './configuration.mjs';
import { ADDRESSES, API_PORT, IMAGE_USER, NODE, SEEN } from './layout.mjs';

/** @typedef {{ name: string, command: string, args: readonly string[], ready: { url: string } | { file: string } }} Component */

const { state, kube, node } = SEEN;
const ETCD = 'http://127.0.0.1:2379';
const credentials = `${state}/credentials`;

/** @type {readonly Component[]} */
export const COMPONENTS = [
  {
    name: 'etcd', command: `${kube}/etcd`, ready: { url: `${ETCD}/health` },
    // Durable against the death of any process, not of the machine.
    args: ['--name=stemma', `--data-dir=${state}/etcd`, `--listen-client-urls=${ETCD}`, `--advertise-client-urls=${ETCD}`, '--listen-peer-urls=http://127.0.0.1:2380',
      '--initial-advertise-peer-urls=http://127.0.0.1:2380', '--initial-cluster=stemma=http://127.0.0.1:2380', '--unsafe-no-fsync', '--log-level=warn'],
  },
  {
    name: 'kube-apiserver', command: `${kube}/kube-apiserver`, ready: { url: `https://127.0.0.1:${API_PORT}/readyz` },
    args: [`--etcd-servers=${ETCD}`, `--cert-dir=${state}/certificates`, `--secure-port=${API_PORT}`, `--advertise-address=${ADDRESSES.node}`,
      `--service-cluster-ip-range=${ADDRESSES.services}`, '--authorization-mode=Node,RBAC', '--enable-admission-plugins=NodeRestriction',
      '--service-account-issuer=https://kubernetes.default.svc.cluster.local', `--service-account-key-file=${credentials}/accounts.pub`,
      `--service-account-signing-key-file=${credentials}/accounts.key`, `--token-auth-file=${credentials}/tokens.csv`, '--kubelet-preferred-address-types=InternalIP',
      `--kubelet-client-certificate=${credentials}/kubelet-client.crt`, `--kubelet-client-key=${credentials}/kubelet-client.key`],
  },
  { name: 'containerd', command: 'containerd', args: ['--config', `${state}/containerd.toml`], ready: { file: SEEN.containerd } },
  {
    name: 'kube-controller-manager', command: 'setpriv', ready: { url: 'https://127.0.0.1:10257/healthz' },
    args: [`--reuid=${IMAGE_USER}`, `--regid=${IMAGE_USER}`, '--clear-groups', `${kube}/kube-controller-manager`, `--kubeconfig=${kubeconfigOf('kube-controller-manager')}`,
      '--bind-address=127.0.0.1', '--leader-elect=false', '--use-service-account-credentials', '--cert-dir=/run/stemma/manager', '--enable-hostpath-provisioner',
      `--service-account-private-key-file=${credentials}/accounts.key`, `--root-ca-file=${state}/certificates/apiserver.crt`],
  },
  {
    name: 'kube-scheduler', command: `${node}/kube-scheduler`, ready: { url: 'https://127.0.0.1:10259/healthz' },
    args: [`--kubeconfig=${kubeconfigOf('kube-scheduler')}`, '--bind-address=127.0.0.1', '--leader-elect=false'],
  },
  { name: 'coredns', command: `${node}/coredns`, args: [`-conf=${state}/Corefile`], ready: { url: 'http://127.0.0.1:8080/health' } },
  {
    name: 'kubelet', command: `${node}/kubelet`, ready: { url: 'http://127.0.0.1:10248/healthz' },
    args: [`--config=${state}/kubelet.json`, `--kubeconfig=${kubeconfigOf('kubelet')}`, `--root-dir=${state}/kubelet`, `--cert-dir=${state}/kubelet-certificates`,
      `--hostname-override=${NODE}`, `--node-ip=${ADDRESSES.node}`],
  },
  // After the kubelet: it looks for the node, and once it has not found it, not again for half a minute.
  { name: 'kube-proxy', command: `${node}/kube-proxy`, args: [`--config=${state}/kube-proxy.json`], ready: { url: 'http://127.0.0.1:10256/livez' } },
];
