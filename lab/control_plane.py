"""The control plane: etcd, kube-apiserver, kube-controller-manager and kube-scheduler."""

from __future__ import annotations

from pathlib import Path

from lab.certificates import Authority, Identity
from lab.component import Component, answers_http
from lab.files import write
from lab.layout import Lab

ADMINISTRATOR = Identity("administrator", "addressbook-lab:administrator", "system:masters")
CONTROLLER_MANAGER = Identity("kube-controller-manager", "system:kube-controller-manager")
SCHEDULER = Identity("kube-scheduler", "system:kube-scheduler")
KUBELET_CLIENT = Identity("kubelet-client", "addressbook-lab:kubelet-client", "system:masters")

ETCD = "http://127.0.0.1:2379"  # loopback of the lab's own network namespace: nothing else reaches it
ETCD_PEERS = "http://127.0.0.1:2380"


def kubeconfig(lab: Lab, authority: Authority, identity: Identity) -> Path:
    """Return the credentials file of one component; write it if it is missing or has changed."""
    path = lab.state / "kubeconfigs" / identity.file
    write(path, authority.kubeconfig(lab, identity), mode=0o600)
    return path


def components(lab: Lab, authority: Authority, binaries: Path) -> list[Component]:
    """Return the components in the order in which they start."""
    return [
        _etcd(lab),
        _api_server(lab, authority, binaries),
        _controller_manager(lab, authority, binaries),
        _scheduler(lab, authority, binaries),
    ]


def _etcd(lab: Lab) -> Component:
    command = [
        "etcd",
        f"--name={lab.name}",
        f"--data-dir={lab.state / 'etcd'}",
        f"--listen-client-urls={ETCD}",
        f"--advertise-client-urls={ETCD}",
        f"--listen-peer-urls={ETCD_PEERS}",
        f"--initial-advertise-peer-urls={ETCD_PEERS}",
        f"--initial-cluster={lab.name}={ETCD_PEERS}",
        "--logger=zap",
        "--log-level=warn",
    ]
    return Component("etcd", command)


def _api_server(lab: Lab, authority: Authority, binaries: Path) -> Component:
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
    certificate, key = authority.server(
        "kube-apiserver", [*names, "localhost", "127.0.0.1", lab.node_address, lab.kubernetes_service]
    )
    client, client_key = authority.client(KUBELET_CLIENT)
    command = [
        str(binaries / "kube-apiserver"),
        f"--advertise-address={lab.node_address}",
        "--secure-port=6443",
        f"--etcd-servers={ETCD}",
        f"--service-cluster-ip-range={lab.service_range}",
        f"--client-ca-file={authority.certificate}",
        f"--tls-cert-file={certificate}",
        f"--tls-private-key-file={key}",
        f"--kubelet-client-certificate={client}",
        f"--kubelet-client-key={client_key}",
        f"--kubelet-certificate-authority={authority.certificate}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-key-file={authority.folder / 'service-account.pub'}",
        f"--service-account-signing-key-file={authority.folder / 'service-account.key'}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--profiling=false",
    ]
    ready = answers_http(lab.node_address, 6443, "/readyz", authority.certificate)
    return Component("kube-apiserver", command, ready=ready)


def _controller_manager(lab: Lab, authority: Authority, binaries: Path) -> Component:
    command = [
        str(binaries / "kube-controller-manager"),
        f"--kubeconfig={kubeconfig(lab, authority, CONTROLLER_MANAGER)}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        f"--root-ca-file={authority.certificate}",
        f"--service-account-private-key-file={authority.folder / 'service-account.key'}",
        f"--cluster-signing-cert-file={authority.certificate}",
        f"--cluster-signing-key-file={authority.key}",
        f"--flex-volume-plugin-dir={lab.state / 'kubelet' / 'volume-plugins'}",
        "--profiling=false",
    ]
    return Component("kube-controller-manager", command)


def _scheduler(lab: Lab, authority: Authority, binaries: Path) -> Component:
    command = [
        str(binaries / "kube-scheduler"),
        f"--kubeconfig={kubeconfig(lab, authority, SCHEDULER)}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--profiling=false",
    ]
    return Component("kube-scheduler", command)
