"""Find the pods and containers that a Kubernetes resource declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from policy.rules import Resource, at, list_at

#: Path to the pod template of each kind.
_TEMPLATE = ("spec", "template")
POD_AT: Mapping[str, tuple[str, ...]] = {
    "Pod": (),
    "PodTemplate": ("template",),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    **dict.fromkeys(
        ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job"), _TEMPLATE
    ),
}
RUNS_TO_COMPLETION = frozenset({"Job", "CronJob"})


@dataclass(frozen=True)
class Pod:
    """A pod; ``spec`` is its PodSpec. ``serves``: it runs until it is stopped."""

    resource: Resource
    #: With its labels and annotations; None if it has none.
    metadata: Any
    spec: Mapping[str, Any]
    serves: bool


@dataclass(frozen=True)
class Container:
    """A container of a pod. ``init``: it runs before the others."""

    pod: Pod
    spec: Mapping[str, Any]
    init: bool

    @property
    def name(self) -> str:
        """The name within the pod."""
        return str(self.spec.get("name"))

    @property
    def sidecar(self) -> bool:
        """Whether it is an init container that runs as long as the pod (Kubernetes documentation, Sidecars)."""
        return self.init and self.spec.get("restartPolicy") == "Always"


def kind_of(resource: Resource) -> str | None:
    """Return the Kubernetes kind, such as `Deployment`; None for other resources."""
    package, _, kind = resource.resource_type.partition(":")
    return kind.rpartition(":")[2] if package == "kubernetes" else None


def pods(resource: Resource) -> Iterator[Pod]:
    """Yield the pod that the resource declares, if any."""
    kind = kind_of(resource) or ""
    if kind in POD_AT and (spec := at(resource.props, *POD_AT[kind], "spec")) is not None:
        serves = kind not in RUNS_TO_COMPLETION and spec.get("restartPolicy") in (None, "Always")
        yield Pod(resource, at(resource.props, *POD_AT[kind], "metadata"), spec, serves)


def containers(resource: Resource) -> Iterator[Container]:
    """Yield all containers of that pod, init containers included."""
    for pod in pods(resource):
        for group in ("containers", "initContainers"):
            for spec in list_at(pod.spec, group):
                yield Container(pod, spec, init=group == "initContainers")
