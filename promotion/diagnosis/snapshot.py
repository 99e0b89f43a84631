"""What a namespace holds, read once: the rules look at this and never at the cluster itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias, cast

import urllib3
from kubernetes.client import BatchV1Api, DiscoveryV1Api
from kubernetes.client.exceptions import ApiException

from promotion.state.cluster.cluster import Cluster, UnreachableError

#: An object of the Kubernetes API as the server writes it.
Document: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Snapshot:
    """Objects of one namespace at one time; ``room`` says what nodes have, None where that may not be read."""

    service: str
    pods: Sequence[Document] = ()
    replica_sets: Sequence[Document] = ()
    deployments: Sequence[Document] = ()
    stateful_sets: Sequence[Document] = ()
    jobs: Sequence[Document] = ()
    services: Sequence[Document] = ()
    endpoint_slices: Sequence[Document] = ()
    claims: Sequence[Document] = ()
    events: Sequence[Document] = ()
    nodes: Sequence[Document] | None = None
    pods_everywhere: Sequence[Document] | None = None
    taken: datetime = field(default_factory=lambda: datetime.now(UTC))

    def events_of(self, thing: Document, *reasons: str) -> list[Document]:
        """Events about the object with one of the reasons (any, if none is given), newest first."""
        meta = thing["metadata"]
        found = [
            event
            for event in self.events
            if event["involvedObject"].get("uid") == meta["uid"] and (not reasons or event.get("reason") in reasons)
        ]
        return sorted(found, key=_event_time, reverse=True)

    def pods_of(self, owner: Document) -> list[Document]:
        """Pods that the object controls."""
        return [pod for pod in self.pods if owner["metadata"]["uid"] in owners(pod)]

    def selected(self, selector: Mapping[str, str]) -> list[Document]:
        """Pods whose labels fit."""
        return [pod for pod in self.pods if selector.items() <= labels(pod).items()]

    def seconds_since(self, stamp: str | None) -> float:
        """Seconds from a time that the API server wrote until the snapshot was taken; 0 where there is none."""
        return (self.taken - parsed(stamp)).total_seconds() if stamp else 0.0


def take(cluster: Cluster) -> Snapshot:
    """Read the namespace. Raises UnreachableError when the API server does not answer or refuses."""
    core, apps, namespace = cluster.core, cluster.apps, cluster.namespace
    batch, discovery = BatchV1Api(cluster.api), DiscoveryV1Api(cluster.api)
    reads: dict[str, Callable[..., Any]] = {
        "pods": core.list_namespaced_pod,
        "replica_sets": apps.list_namespaced_replica_set,
        "deployments": apps.list_namespaced_deployment,
        "stateful_sets": apps.list_namespaced_stateful_set,
        "jobs": batch.list_namespaced_job,
        "services": core.list_namespaced_service,
        "endpoint_slices": discovery.list_namespaced_endpoint_slice,
        "claims": core.list_namespaced_persistent_volume_claim,
        "events": core.list_namespaced_event,
    }
    with ThreadPoolExecutor(max_workers=4) as pool:
        answers = {name: pool.submit(_items, read, namespace) for name, read in reads.items()}
        # A release's own credentials need not see the whole cluster.
        nodes = pool.submit(_items_if_allowed, core.list_node)
        everywhere = pool.submit(_items_if_allowed, core.list_pod_for_all_namespaces)
        try:
            found: dict[str, Any] = {name: answer.result() for name, answer in answers.items()}
        except (ApiException, urllib3.exceptions.HTTPError, OSError) as error:
            reason = " ".join(str(getattr(error, "reason", None) or error).split())
            raise UnreachableError(
                f"namespace {namespace} cannot be looked at: {reason[:300]}; see that the cluster runs, and that your"
                " credentials may list what is in the namespace"
            ) from None
        return Snapshot(cluster.service, **found, nodes=nodes.result(), pods_everywhere=everywhere.result())


def _items(read: Callable[..., Any], *arguments: str) -> list[Document]:
    return cast(list[Document], json.loads(raw(read, *arguments))["items"])


def raw(read: Callable[..., Any], *arguments: str, **options: Any) -> bytes:
    """What the API server answers, as it writes it. Raises what the client raises."""
    return bytes(read(*arguments, **options, _preload_content=False).data)


def part(thing: Document, *path: str) -> Document:
    """An object inside the object; empty where there is none."""
    for key in path:
        thing = thing.get(key) or {}
    return thing


def parts(thing: Document, *path: str) -> Sequence[Document]:
    """A list inside the object; empty where there is none."""
    return cast(Sequence[Document], part(thing, *path[:-1]).get(path[-1]) or ())


def _items_if_allowed(read: Callable[..., Any]) -> list[Document] | None:
    try:
        return _items(read)
    except (ApiException, urllib3.exceptions.HTTPError, OSError):
        return None


def name(thing: Document) -> str:
    """The object's name."""
    return str(thing["metadata"]["name"])


def labels(thing: Document) -> Mapping[str, str]:
    """The object's labels."""
    return part(thing, "metadata", "labels")


def owners(thing: Document) -> set[str]:
    """Ids of the objects that own this one."""
    return {str(owner["uid"]) for owner in parts(thing, "metadata", "ownerReferences")}


def tracks(thing: Document) -> tuple[str, ...]:
    """The track that the object belongs to, none for what is shared."""
    track = labels(thing).get("track")
    return (track,) if track else ()


def condition(thing: Document, kind: str) -> Document:
    """The object's condition of that type; empty where it has none."""
    nothing: Document = {}
    return next((each for each in parts(thing, "status", "conditions") if each["type"] == kind), nothing)


def parsed(stamp: str) -> datetime:
    """A time as the API server writes it."""
    return datetime.fromisoformat(stamp.replace("Z", "+00:00"))


def message(event: Document) -> str:
    """What an event says, on one line, and how often it came."""
    text = " ".join(str(event.get("message") or "").split())
    count = int(event.get("count") or part(event, "series").get("count") or 1)
    return f"{event.get('reason')}: {text}" + (f" ({count} times)" if count > 1 else "")


def _event_time(event: Document) -> str:
    stamp = part(event, "series").get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return str(stamp or event["metadata"].get("creationTimestamp") or "")
