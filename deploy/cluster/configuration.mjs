// What the cluster's parts are configured with. Pure: paths are as they see them (SEEN).
import { ADDRESSES, NODE, SEEN } from './layout.mjs';

const BRIDGE = 'pods';
export const PAUSE_IMAGE = 'docker.io/local/pause:1';

/** @param {unknown} value */
const json = (value) => `${JSON.stringify(value, null, 2)}\n`;
/** @param {string} name */
export const kubeconfigOf = (name) => `${SEEN.state}/kubeconfigs/${name}.json`;

/** File below the state folder → its text. @returns {Record<string, string>} */
export function configurationFiles() {
  return {
    'containerd.toml': containerd(),
    'cni/10-stemma.conflist': json({
      cniVersion: '0.4.0', name: 'stemma', plugins: [
        { type: 'bridge', bridge: BRIDGE, isDefaultGateway: true, hairpinMode: true, ipam: { type: 'host-local', dataDir: '/run/cni', ranges: [[{ subnet: ADDRESSES.pods }]] } },
        { type: 'portmap', capabilities: { portMappings: true } },
      ],
    }),
    'kubelet.json': json(kubelet()),
    'kube-proxy.json': json({
      apiVersion: 'kubeproxy.config.k8s.io/v1alpha1', kind: 'KubeProxyConfiguration', mode: 'nftables', hostnameOverride: NODE, clusterCIDR: ADDRESSES.pods,
      clientConnection: { kubeconfig: kubeconfigOf('kube-proxy') }, metricsBindAddress: '127.0.0.1:10249', healthzBindAddress: '127.0.0.1:10256',
      // Zero leaves the machine's own limits alone.
      conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
    }),
    Corefile: `.:53 {\n  errors\n  health 127.0.0.1:8080\n  ready 127.0.0.1:8181\n  kubernetes cluster.local in-addr.arpa {\n    kubeconfig ${kubeconfigOf('coredns')}\n    ttl 1\n  }\n}\n`,
  };
}

function containerd() {
  return `version = 2
root = "${SEEN.state}/containerd"
state = "/run/containerd"
[grpc]
  address = "${SEEN.containerd}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  # Without CAP_SYS_RESOURCE a pod would die of being told a lower value: "can't get final child's PID from pipe: EOF".
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${SEEN.cni}"
    conf_dir = "${SEEN.state}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
`;
}

function kubelet() {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1', kind: 'KubeletConfiguration', address: ADDRESSES.node,
    authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: `${SEEN.state}/credentials/kubelet-client.crt` } },
    authorization: { mode: 'Webhook' },
    cgroupDriver: 'cgroupfs', cgroupsPerQOS: false, enforceNodeAllocatable: [], failSwapOn: false,
    resolvConf: '', clusterDNS: [ADDRESSES.node], clusterDomain: 'cluster.local', containerRuntimeEndpoint: `unix://${SEEN.containerd}`,
    // The disk is the machine's own: that it is nearly full is no reason to end a run or to forget an image that no registry has.
    evictionHard: { 'nodefs.available': '0%', 'nodefs.inodesFree': '0%', 'imagefs.available': '0%', 'memory.available': '100Mi' },
    imageGCHighThresholdPercent: 100,
  };
}
