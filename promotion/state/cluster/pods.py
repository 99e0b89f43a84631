"""Kubernetes objects as the API server writes them, and the one reader of pods and Deployments."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias, cast

#: A Kubernetes object in the API server's JSON, or a part of one.
Document: TypeAlias = Mapping[str, Any]

NOTHING: Document = {}
PROBES = ("startup", "liveness", "readiness")
#: Reason of a pod that the kubelet evicted, and how its message begins if the node was short of something (kubelet,
#: pkg/kubelet/eviction/helpers.go). Other messages say that the pod exceeded a limit of its own.
EVICTED = "Evicted"
NODE_PRESSURE = ("The node was low on resource", "The node had condition")
#: Reasons of a container whose end its runtime did not see: the node or the runtime was restarted (containerd,
#: internal/cri/server/restart.go; kubelet, pkg/kubelet/kubelet_pods.go).
UNSEEN_ENDS = frozenset({"Unknown", "ContainerStatusUnknown"})


@dataclass(frozen=True)
class Pod:
    """A pod. ``container`` and what is derived from it mean the service's container, without injected sidecars."""

    document: Document

    @property
    def name(self) -> str:
        return name(self.document)

    @property
    def namespace(self) -> str:
        return str(self.document["metadata"]["namespace"])

    @property
    def uid(self) -> str:
        return str(self.document["metadata"]["uid"])

    @property
    def created(self) -> datetime:
        return parse_time(self.document["metadata"]["creationTimestamp"])

    @property
    def deleting(self) -> bool:
        """Whether Kubernetes is deleting the pod."""
        return bool(self.document["metadata"].get("deletionTimestamp"))

    @property
    def ready(self) -> bool:
        """Whether the pod gets requests."""
        return condition(self.document, "Ready").get("status") == "True"

    @property
    def container(self) -> Document:
        """Specification of the service's container, which sidecars may precede in the list."""
        return service_container(self.document)

    @property
    def image(self) -> str:
        return str(self.container["image"])

    @property
    def status(self) -> Document:
        """Status of the service's container; empty before the kubelet has seen the pod."""
        statuses = parts(self.document, "status", "containerStatuses")
        return next((each for each in statuses if each["name"] == self.container["name"]), NOTHING)

    @property
    def running(self) -> bool:
        return bool(part(self.status, "state").get("running"))

    @property
    def waiting(self) -> Document:
        """Reason and message of a container that has not started; empty otherwise."""
        return part(self.status, "state", "waiting")

    @property
    def last_end(self) -> Document:
        """How the container ended before its last restart; empty if it has not restarted."""
        return part(self.status, "lastState", "terminated")

    @property
    def ready_since(self) -> datetime | None:
        """When the pod became ready; None if it is not."""
        since = condition(self.document, "Ready").get("lastTransitionTime")
        return parse_time(str(since)) if self.ready and since else None

    @property
    def node(self) -> str:
        """Name of the pod's node; "" before it has one."""
        return str(part(self.document, "spec").get("nodeName") or "")

    @property
    def disruption(self) -> str:
        """Why the pod was ended by something other than its containers, such as an eviction; "" if it was not.

        A pod of a Deployment fails only if its node ends it; its containers restart otherwise.
        """
        status = part(self.document, "status")
        reason, message = str(status.get("reason") or ""), str(status.get("message") or "")
        if reason == EVICTED and message and not message.startswith(NODE_PRESSURE):
            return ""  # the pod exceeded a limit of its own
        target = condition(self.document, "DisruptionTarget")
        if target.get("status") == "True" or (status.get("phase") == "Failed" and reason):
            return ": ".join(each for each in (reason or str(target.get("reason")), message) if each)
        return ""

    @property
    def restarts(self) -> int:
        return int(self.status.get("restartCount", 0))

    @property
    def process(self) -> str:
        """Identify the running process: a restart gives another one, whose counters begin at zero."""
        return f"{self.uid}/{self.restarts}"

    def port(self, name: Literal["http", "metrics"]) -> int | None:
        """Return the number of the container's port with that name; None if the service has no such port."""
        ports = {each.get("name"): int(each["containerPort"]) for each in parts(self.container, "ports")}
        return ports.get(name)

    @property
    def probe_paths(self) -> set[str]:
        """Paths that the kubelet requests; they are not users' requests."""
        paths = (part(self.container, f"{probe}Probe", "httpGet").get("path") for probe in PROBES)
        return {str(path) for path in paths if path}


@dataclass(frozen=True)
class Deployment:
    """A track's Deployment."""

    document: Document

    @property
    def image(self) -> str:
        return str(service_container(self.document["spec"]["template"])["image"])

    @property
    def replicas(self) -> int:
        return int(self.document["spec"].get("replicas", 0))

    @property
    def deadline_seconds(self) -> float:
        """Seconds that a rollout may go without progress; 600 is Kubernetes' default."""
        return float(self.document["spec"].get("progressDeadlineSeconds", 600))

    @property
    def is_available(self) -> bool:
        """Whether all replicas are available."""
        return int(part(self.document, "status").get("availableReplicas") or 0) >= self.replicas

    @property
    def past_deadline(self) -> bool:
        return condition(self.document, "Progressing").get("status") == "False"


def service_container(template: Document) -> Document:
    """Return the service's container in a pod or a pod template: the one named like the label ``app``, else the first.

    The program names it so (components/track.py); admission webhooks may put sidecars in front of it.
    """
    containers = cast(Sequence[Document], template["spec"]["containers"])
    service = labels(template).get("app")
    return next((each for each in containers if each.get("name") == service), containers[0])


def part(thing: Document, *path: str) -> Document:
    """Return an object inside the object; empty if there is none."""
    for key in path:
        thing = thing.get(key) or {}
    return thing


def parts(thing: Document, *path: str) -> Sequence[Document]:
    """Return a list inside the object; empty if there is none."""
    return cast(Sequence[Document], part(thing, *path[:-1]).get(path[-1]) or ())


def name(thing: Document) -> str:
    return str(thing["metadata"]["name"])


def labels(thing: Document) -> Mapping[str, str]:
    return part(thing, "metadata", "labels")


def owners(thing: Document) -> set[str]:
    """Return the UIDs of the objects that own the object."""
    return {str(owner["uid"]) for owner in parts(thing, "metadata", "ownerReferences")}


def annotation(thing: Document, key: str) -> str | None:
    return part(thing, "metadata", "annotations").get(key)


def condition(thing: Document, kind: str) -> Document:
    """Return the object's condition of that type; empty if it has none."""
    return next((each for each in parts(thing, "status", "conditions") if each["type"] == kind), NOTHING)


def parse_time(stamp: str) -> datetime:
    """Parse a time as the API server writes it."""
    return datetime.fromisoformat(stamp.replace("Z", "+00:00"))


def read_raw(read: Callable[..., Any], *arguments: str, **options: Any) -> bytes:
    """Return the API server's answer unparsed: the client's typed objects take ten times as long to build.

    Raises what the client raises.
    """
    return bytes(read(*arguments, **options, _preload_content=False).data)


def read_items(read: Callable[..., Any], *arguments: str, **options: Any) -> list[Document]:
    """Return the objects of a list. Raises what the client raises."""
    return cast(list[Document], json.loads(read_raw(read, *arguments, **options))["items"])
