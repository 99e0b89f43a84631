"""The pods and containers that a Kubernetes resource declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from policy.judging import Resource, at, list_at

#: Where each kind holds its pod.
_TEMPLATE = ("spec", "template")
POD_AT: Mapping[str, tuple[str, ...]] = {
    "Pod": (),
    "PodTemplate": ("template",),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    **dict.fromkeys(
        ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job"), _TEMPLATE
    ),
}
RUNS_TO_AN_END = frozenset({"Job", "CronJob"})


@dataclass(frozen=True)
class Pod:
    """A pod; ``spec`` is its PodSpec, ``serves`` whether it is to run until it is stopped."""

    resource: Resource
    spec: Mapping[str, Any]
    serves: bool


@dataclass(frozen=True)
class Container:
    """A container of a pod. ``beside``: it runs along with the others, rather than before them."""

    pod: Pod
    spec: Mapping[str, Any]
    beside: bool

    @property
    def name(self) -> str:
        """Name within the pod."""
        return str(self.spec.get("name"))


def kind_of(resource: Resource) -> str | None:
    """Kubernetes kind (`Deployment`); None for what is no Kubernetes object."""
    package, _, kind = resource.resource_type.partition(":")
    return kind.rpartition(":")[2] if package == "kubernetes" else None


def pods(resource: Resource) -> Iterator[Pod]:
    """The pod that the resource declares, if it declares one."""
    kind = kind_of(resource) or ""
    if kind in POD_AT and (spec := at(resource.props, *POD_AT[kind], "spec")) is not None:
        yield Pod(resource, spec, kind not in RUNS_TO_AN_END and spec.get("restartPolicy") in (None, "Always"))


def containers(resource: Resource) -> Iterator[Container]:
    """All containers of that pod."""
    for pod in pods(resource):
        for group in ("containers", "initContainers"):
            for spec in list_at(pod.spec, group):
                yield Container(pod, spec, beside=group == "containers")
