"""Pods that no node takes: what they ask, and what the nodes have."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal

from kubernetes.utils.quantity import parse_quantity  # pyright: ignore[reportUnknownVariableType] comes without types

from promotion.diagnosis.reason import Reason
from promotion.diagnosis.snapshot import Document, Snapshot, part, parts

MEBIBYTE = 2**20
GIBIBYTE = 2**30
_SETTINGS = {"cpu": "cpuRequest", "memory": "memoryRequest"}


def unschedulable(pod: Document, said: str, snapshot: Snapshot) -> Reason:
    """Why no node takes the pod; ``said`` is the scheduler's message."""
    for resource in ("memory", "cpu"):
        if f"Insufficient {resource}" in said:
            return _short_of(resource, pod, snapshot)
    if found := re.search(r"Insufficient (\S+?)[.,]", said):
        return Reason(
            "no-resources",
            f"no node has the {found[1]} that the pod asks for",
            "ask for less, or add nodes that have it",
        )
    if "Too many pods" in said:
        return Reason(
            "no-resources", "the nodes run as many pods as they may", "add nodes (nodeCount in the stack file)"
        )
    if found := re.search(r"persistentvolumeclaim \"([^\"]+)\" not found", said):
        return Reason(
            "volume-claim-missing",
            f"PersistentVolumeClaim {found[1]}, which the pod mounts, does not exist",
            "the next `python -m promotion up` makes it anew if the release owns it; data in a deleted volume is gone",
        )
    if "unbound immediate PersistentVolumeClaims" in said:
        return Reason(
            "volume-claim-pending",
            "the pod waits for a volume that is not there yet",
            "the claim's own block says why",
        )
    if "volume node affinity conflict" in said or "didn't find available persistent volumes" in said:
        return Reason(
            "volume-elsewhere",
            "the pod's volume is on a node, or in a zone, that cannot take the pod",
            "bring that node back, or one in the same zone; a local volume cannot move",
        )
    return _nodes_refuse(said)


def _nodes_refuse(said: str) -> Reason:
    if found := re.search(r"untolerated taint(?:\(s\)|s)? ?\{?([^}:,]*)", said):
        taint = found[1].strip()
        unready = "node.kubernetes.io/" in taint
        return Reason(
            "node-taint",
            f"the nodes keep pods off by the taint {taint or '(see the evidence)'}",
            "the taint says that the node is not fit: `kubectl describe nodes` shows why; it goes when the node is well"
            if unready
            else "remove it (`kubectl taint nodes NODE TAINT-`), or add nodes without it",
        )
    if "node affinity/selector" in said:
        return Reason(
            "node-selector",
            "no node has the labels that the pod's node selector or affinity asks for",
            "label a node (`kubectl label nodes`), or correct the selector",
        )
    if "were unschedulable" in said:
        return Reason(
            "node-cordoned", "the nodes are cordoned: they take no new pods", "`kubectl uncordon NODE` opens one again"
        )
    if "no nodes available" in said or "0/0 nodes" in said:
        return Reason(
            "no-nodes", "the cluster has no node", "see that its node pool runs (nodeCount in the stack file)"
        )
    return Reason("unschedulable", "no node takes the pod", "the evidence is the scheduler's reason, node by node")


def _short_of(resource: str, pod: Document, snapshot: Snapshot) -> Reason:
    asked = requested(pod, resource)
    noun = " of memory" if resource == "memory" else ""
    what = f"the pod asks for {_shown(resource, asked)}{noun}, and no node has that much free"
    if snapshot.nodes and snapshot.pods_everywhere is not None:
        free, whole = max(_free(node, snapshot.pods_everywhere, resource) for node in snapshot.nodes)
        what += f"; the emptiest has {_shown(resource, free)} left of {_shown(resource, whole)}"
    return Reason(
        f"no-{resource}",
        what,
        f"lower {_SETTINGS[resource]} in the stack file, or add or enlarge nodes (nodeCount, nodeSize)",
    )


def _free(node: Document, pods: Iterable[Document], resource: str) -> tuple[Decimal, Decimal]:
    """What the node could still give, and all that it has for pods."""
    whole = _quantity(node["status"]["allocatable"][resource])
    here = [pod for pod in pods if pod["spec"].get("nodeName") == node["metadata"]["name"] and not _ended(pod)]
    return max(whole - sum((requested(pod, resource) for pod in here), Decimal()), Decimal()), whole


def _ended(pod: Document) -> bool:
    return pod["status"].get("phase") in ("Succeeded", "Failed")


def requested(pod: Document, resource: str) -> Decimal:
    """What the scheduler counts for the pod: its containers together, or its largest init container."""

    def asks(container: Document) -> Decimal:
        return _quantity(part(container, "resources", "requests").get(resource, "0"))

    spec = pod["spec"]
    own = sum((asks(each) for each in spec["containers"]), Decimal())
    first = max((asks(each) for each in parts(pod, "spec", "initContainers")), default=Decimal())
    return max(own, first) + _quantity(part(spec, "overhead").get(resource, "0"))


def _quantity(text: str) -> Decimal:
    return parse_quantity(text)


def _shown(resource: str, amount: Decimal) -> str:
    if resource == "cpu":
        return f"{float(amount):.3g} CPUs"
    return f"{float(amount) / GIBIBYTE:.1f} GiB" if amount >= GIBIBYTE else f"{int(amount / MEBIBYTE)} MiB"
