#!/usr/bin/env bash
# Process 1 of the cluster's own process, mount and network namespaces: when it ends, all of the cluster's processes, mounts, interfaces and
# packet filters end with it. Bash, because process 1 has to reap what containerd's shims leave.
#   inside.sh STATE KUBE NODE_PROGRAMS CNI NODE_EXECUTABLE SUPERVISOR ADDRESS/BITS IMAGE_USER
# Waits for a line on standard input: then the wire is in.
set -eu
state=$1 kube=$2 programs=$3 cni=$4 node=$5 supervisor=$6 address=$7 user=$8
read -r _
mount --make-rshared /
mkdir -p /tmp/hostpath_pv
mount --bind "$state/volumes" /tmp/hostpath_pv
# Sockets, shims and the pods' network namespaces: nothing of them is to outlive this namespace.
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/stemma/state /run/stemma/manager /run/stemma/kube /run/stemma/node /run/stemma/cni /run/netns /run/lock
# At places of their own, since another user than the one who started us could not follow a path through that one's home.
mount --bind "$state" /run/stemma/state
mount --bind "$kube" /run/stemma/kube
mount --bind "$programs" /run/stemma/node
mount --bind "$cni" /run/stemma/cni
chown "$user:$user" /run/stemma/manager
ip link set lo up
ip address add "$address" dev node
ip link set node up
echo 1 > /proc/sys/net/ipv4/ip_forward
# So that an answer from a pod on the same bridge comes back through the service's address.
if [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ]; then echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables; fi
"$node" "$supervisor" &
wait $!
