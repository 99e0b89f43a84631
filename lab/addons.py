"""The add-ons of the cluster: DNS (CoreDNS), addresses for load balancers, volumes.

Each is a process on the node instead of a pod: it needs no image, and it runs before the first pod.
"""

from __future__ import annotations

import json
from pathlib import Path
from string import Template

from lab.certificates import Authority, Identity
from lab.component import Component, answers_http
from lab.control_plane import kubeconfig
from lab.files import write
from lab.layout import PACKAGE, Lab

DNS = Identity("coredns", "addressbook-lab:coredns")
LOAD_BALANCER = Identity("loadbalancer", "addressbook-lab:loadbalancer")
STORAGE = Identity("local-path-provisioner", "addressbook-lab:local-path-provisioner")

STORAGE_NAMESPACE = "local-path-storage"
VOLUME_IMAGE = "lab/busybox:1"  # creates and removes a volume's folder

# Other names are refused at once: the lab's pods reach nothing outside.
COREFILE = Template("""\
. {
    bind $address
    errors
    health $address:8080
    ready $address:8181
    kubernetes cluster.local in-addr.arpa {
        kubeconfig $kubeconfig $context
        pods insecure
        ttl 5
    }
    auto {
        directory $zones ^([^.].*)[.]zone$$ {1}
        reload 1s
    }
}
""")


def components(lab: Lab, authority: Authority, binaries: Path) -> list[Component]:
    return [
        _dns(lab, authority, binaries),
        _load_balancer(lab, authority, binaries),
        _storage(lab, authority, binaries),
    ]


def manifest() -> str:
    """Return the add-ons' Kubernetes objects: their rights, the storage class, the volume script."""
    template = Template((PACKAGE / "cluster" / "addons.yaml").read_text(encoding="utf-8"))
    return template.substitute(
        dns=DNS.user,
        load_balancer=LOAD_BALANCER.user,
        storage=STORAGE.user,
        namespace=STORAGE_NAMESPACE,
    )


def _dns(lab: Lab, authority: Authority, binaries: Path) -> Component:
    corefile = lab.state / "Corefile"
    lab.zones.mkdir(exist_ok=True, mode=0o711)
    settings = {"address": lab.node_address, "context": lab.name, "zones": lab.zones}
    write(corefile, COREFILE.substitute(settings, kubeconfig=kubeconfig(lab, authority, DNS)))
    ready = answers_http(lab.node_address, 8181, "/ready")
    return Component("coredns", [str(binaries / "coredns"), "-conf", str(corefile)], ready=ready)


def _load_balancer(lab: Lab, authority: Authority, binaries: Path) -> Component:
    command = [
        str(binaries / "loadbalancer"),
        f"-kubeconfig={kubeconfig(lab, authority, LOAD_BALANCER)}",
        f"-range={lab.load_balancer_range}",
        f"-cluster-name={lab.name}",
    ]
    return Component("loadbalancer", command)


def _storage(lab: Lab, authority: Authority, binaries: Path) -> Component:
    config = lab.state / "volumes.json"
    paths = [{"node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": [str(lab.state / "volumes")]}]
    write(config, json.dumps({"nodePathMap": paths}))
    pod = lab.state / "volume-pod.yaml"
    container = {
        "name": "helper-pod",
        "image": f"{lab.registry}/{VOLUME_IMAGE}",
        "imagePullPolicy": "IfNotPresent",
    }
    spec = {"terminationGracePeriodSeconds": 0, "automountServiceAccountToken": False, "containers": [container]}
    write(pod, json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "volume"}, "spec": spec}))
    command = [
        str(binaries / "local-path-provisioner"),
        "start",
        f"--kubeconfig={kubeconfig(lab, authority, STORAGE)}",
        f"--config={config}",
        f"--namespace={STORAGE_NAMESPACE}",
        f"--helper-image={lab.registry}/{VOLUME_IMAGE}",
        f"--helper-pod-file={pod}",
        "--service-account-name=default",
    ]
    return Component("local-path-provisioner", command)
