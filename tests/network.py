"""Evaluate NetworkPolicies as the API's documentation defines them, on objects of a graph or of a cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

#: Labels of a namespace that has none but Kubernetes' own.
NAME_LABEL = "kubernetes.io/metadata.name"


@dataclass(frozen=True)
class Pod:
    """One end of a connection, in the cluster."""

    namespace: str
    labels: Mapping[str, str]
    #: Named ports.
    ports: Mapping[str, int] = field(default_factory=dict[str, int])
    namespace_labels: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def of(cls, namespace: str, metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> Pod:
        """Return the pod with the metadata and spec of a template or of a running pod."""
        ports = [port for container in spec["containers"] for port in container.get("ports", [])]
        return cls(namespace, metadata["labels"], {each["name"]: each["containerPort"] for each in ports})


#: A pod, or an address outside the cluster.
End = Pod | str


def allowed(policies: Iterable[Mapping[str, Any]], source: End, target: End, port: int) -> bool:
    """Return whether the policies allow a TCP connection to a port of the target."""
    policies = list(policies)
    return _direction(policies, source, target, target, port, ("Egress", "egress", "to")) and _direction(
        policies, target, source, target, port, ("Ingress", "ingress", "from")
    )


def selected(policy: Mapping[str, Any], pod: Pod) -> bool:
    """Return whether a policy is for the pod."""
    return policy["metadata"]["namespace"] == pod.namespace and _selects(policy["spec"]["podSelector"], pod.labels)


def _direction(
    policies: Sequence[Mapping[str, Any]], pod: End, peer: End, target: End, port: int, names: tuple[str, str, str]
) -> bool:
    kind, rules, peers = names
    if isinstance(pod, str):
        return True
    specs = [each["spec"] for each in policies if kind in each["spec"]["policyTypes"] and selected(each, pod)]
    if not specs:
        return True  # no policy is for the pod, so everything is allowed
    return any(
        (peers not in rule or any(_is_peer(each, peer, pod.namespace) for each in rule[peers]))
        and _has_port(rule, target, port)
        for spec in specs
        for rule in spec.get(rules, [])
    )


def _is_peer(peer: Mapping[str, Any], end: End, namespace: str) -> bool:
    if isinstance(end, str):
        network = ip_network(peer["ipBlock"]["cidr"]) if "ipBlock" in peer else None
        return network is not None and ip_address(end) in network
    if "namespaceSelector" in peer:
        labels = {NAME_LABEL: end.namespace, **end.namespace_labels}
        return _selects(peer["namespaceSelector"], labels) and _selects(peer.get("podSelector", {}), end.labels)
    return "podSelector" in peer and end.namespace == namespace and _selects(peer["podSelector"], end.labels)


def _has_port(rule: Mapping[str, Any], target: End, port: int) -> bool:
    named = target.ports if isinstance(target, Pod) else {}
    return "ports" not in rule or any(
        each.get("protocol", "TCP") == "TCP" and named.get(each["port"], each["port"]) == port for each in rule["ports"]
    )


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for rule in selector.get("matchExpressions", []):
        value = labels.get(rule["key"])
        holds = {
            "In": value in rule.get("values", []),
            "NotIn": value not in rule.get("values", []),
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }[rule["operator"]]
        if not holds:
            return False
    return True
