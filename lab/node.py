"""The lab's only node: containerd, kubelet, kube-proxy, and the pod network."""

from __future__ import annotations

import json
from pathlib import Path
from string import Template

from lab.certificates import Authority, Identity
from lab.component import Component, counted_since_start, listens
from lab.control_plane import kubeconfig
from lab.files import write
from lab.layout import Lab

PROXY = Identity("kube-proxy", "system:kube-proxy")
PAUSE_IMAGE = "lab/pause:1"  # keeps the namespaces of each pod
MAX_PODS = 200

# Kernel settings that a kubelet sets for the whole machine. In its mount namespace, the lab's kubelet sees files that
# have these values already, so it leaves the machine as it is.
KERNEL_SETTINGS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}

CONTAINERD_CONFIG = Template("""\
version = 2
root = "$state/containerd"
state = "$run/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
  address = "$run/containerd.sock"

[plugins."io.containerd.internal.v1.opt"]
  path = "$state/containerd/opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$registry/$pause"
  # runc fails to lower a process's out-of-memory score on machines without CAP_SYS_RESOURCE.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  max_concurrent_downloads = 6

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$cni_binaries"
    conf_dir = "$state/cni/config"

  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "$state/containerd-registries"

  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
      Root = "$run/runc"
""")

REGISTRY_HOSTS = Template("""\
server = "http://$registry"

[host."http://$registry"]
  capabilities = ["pull", "resolve"]
""")


def components(lab: Lab, authority: Authority, binaries: Path, cni_binaries: Path) -> list[Component]:
    """Return the components. containerd is first: the kubelet ends if it cannot reach it."""
    return [
        _containerd(lab, cni_binaries),
        _kubelet(lab, authority, binaries),
        _proxy(lab, authority, binaries),
    ]


def _containerd(lab: Lab, cni_binaries: Path) -> Component:
    config = lab.state / "containerd.toml"
    write(
        config,
        CONTAINERD_CONFIG.substitute(
            state=lab.state, run=lab.run, registry=lab.registry, pause=PAUSE_IMAGE, cni_binaries=cni_binaries
        ),
    )
    # The lab's registry is the mirror of Docker Hub, and the only one that the node can reach.
    for host in ("docker.io", lab.registry):
        folder = lab.state / "containerd-registries" / host
        write(folder / "hosts.toml", REGISTRY_HOSTS.substitute(registry=lab.registry))
    write(lab.state / "cni" / "config" / "10-lab.conflist", json.dumps(_pod_network(lab), indent=2))
    return Component("containerd", ["containerd", f"--config={config}"], ready=listens(lab.run / "containerd.sock"))


def _pod_network(lab: Lab) -> dict[str, object]:
    """Configure a route for each pod instead of a bridge, so that Services work without br_netfilter."""
    addresses = {
        "type": "host-local",
        "dataDir": str(lab.run / "pod-addresses"),
        "ranges": [[{"subnet": lab.pod_range}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugins = [
        {"type": "ptp", "ipMasq": False, "ipam": addresses},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    return {"cniVersion": "0.4.0", "name": lab.name, "plugins": plugins}


def _kubelet(lab: Lab, authority: Authority, binaries: Path) -> Component:
    root = lab.state / "kubelet"
    identity = Identity("kubelet", f"system:node:{lab.name}", "system:nodes")
    certificate, key = authority.server("kubelet-server", [lab.name, lab.node_address])
    resolver = lab.state / "resolv.conf"
    write(resolver, f"nameserver {lab.node_address}\n")
    settings = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(authority.certificate)},
        },
        "authorization": {"mode": "Webhook"},
        "address": "0.0.0.0",  # noqa: S104  # all addresses of the lab's own network namespace
        "tlsCertFile": str(certificate),
        "tlsPrivateKeyFile": str(key),
        "containerRuntimeEndpoint": f"unix://{lab.run / 'containerd.sock'}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{lab.name}",
        "failSwapOn": False,
        "clusterDNS": [lab.node_address],
        "clusterDomain": "cluster.local",
        "resolvConf": str(resolver),
        "maxPods": MAX_PODS,
        "podLogsDir": str(lab.state / "pod-logs"),
        "volumePluginDir": str(root / "volume-plugins"),
        "serializeImagePulls": False,
        "registryPullQPS": 0,
        "imageGCHighThresholdPercent": 100,
        # The disk is the user's own and may be nearly full: evict as late as possible.
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
        },
        "logging": {"verbosity": 1},
    }
    config = lab.state / "kubelet.yaml"
    write(config, json.dumps(settings, indent=2))
    command = [
        str(binaries / "kubelet"),
        f"--config={config}",
        f"--kubeconfig={kubeconfig(lab, authority, identity)}",
        f"--hostname-override={lab.name}",
        f"--node-ip={lab.node_address}",
        f"--root-dir={root}",
        f"--cert-dir={root / 'pki'}",
    ]
    return Component("kubelet", command)


def _proxy(lab: Lab, authority: Authority, binaries: Path) -> Component:
    settings = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig(lab, authority, PROXY))},
        "mode": "iptables",
        "clusterCIDR": lab.pod_range,
        "hostnameOverride": lab.name,
        "healthzBindAddress": f"{lab.node_address}:10256",
        "metricsBindAddress": f"{lab.node_address}:10249",
        # The connection table belongs to the machine: leave its size.
        "conntrack": {"maxPerCore": 0, "min": 0},
        "iptables": {"minSyncPeriod": "200ms"},
    }
    config = lab.state / "kube-proxy.yaml"
    write(config, json.dumps(settings, indent=2))
    # It reports itself healthy before it has written its first rule, and Services do not work before that.
    ready = counted_since_start(lab.node_address, 10249, "kubeproxy_sync_proxy_rules_last_timestamp_seconds")
    return Component("kube-proxy", [str(binaries / "kube-proxy"), f"--config={config}"], ready=ready)
