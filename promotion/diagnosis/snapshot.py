"""Read a namespace once, then logs and probe answers of single pods; the rules look at nothing else."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import urllib3
from kubernetes.client import BatchV1Api, CustomObjectsApi, DiscoveryV1Api
from kubernetes.client.exceptions import ApiException

from promotion.diagnosis.masking import Mask
from promotion.state.cluster.client import reason_of
from promotion.state.cluster.cluster import GATEWAY_API, Cluster, UnreachableError
from promotion.state.cluster.pods import Document, Pod, labels, parse_time, part, parts, read_items, read_raw

#: Lines of a log that are searched for a cause, and lines that are shown.
READ_LINES, SHOWN_LINES = 40, 8
#: Characters shown of a log line or a probe's answer.
LINE_LENGTH = 300
#: Seconds that a probe's answer may take.
ANSWER_SECONDS = 6
READ_ERRORS = (ApiException, urllib3.exceptions.HTTPError, OSError)


@dataclass(frozen=True)
class Snapshot:
    """Objects of one namespace at one time.

    ``nodes`` and ``pods_everywhere`` are None if the credentials may not read them, ``gateways`` also if the cluster
    does not know Gateways. ``unread`` has the reason for each other list that could not be read; that list is empty.
    """

    service: str
    pods: Sequence[Pod] = ()
    replica_sets: Sequence[Document] = ()
    deployments: Sequence[Document] = ()
    stateful_sets: Sequence[Document] = ()
    jobs: Sequence[Document] = ()
    services: Sequence[Document] = ()
    endpoint_slices: Sequence[Document] = ()
    claims: Sequence[Document] = ()
    events: Sequence[Document] = ()
    nodes: Sequence[Document] | None = None
    pods_everywhere: Sequence[Pod] | None = None
    gateways: Sequence[Document] | None = None
    unread: Mapping[str, str] = field(default_factory=dict[str, str])
    taken: datetime = field(default_factory=lambda: datetime.now(UTC))

    def events_of(self, thing: Document, *reasons: str) -> list[Document]:
        """Return the object's events with one of the reasons (none given: any), newest first."""
        uid = thing["metadata"]["uid"]
        events = [
            event
            for event in self.events
            if event["involvedObject"].get("uid") == uid and (not reasons or event.get("reason") in reasons)
        ]
        return sorted(events, key=_event_time, reverse=True)

    def selected(self, selector: Mapping[str, str]) -> list[Pod]:
        return [pod for pod in self.pods if selector.items() <= labels(pod.document).items()]

    def seconds_since(self, stamp: str | None) -> float:
        """Return the seconds from a time in the API server's form until the snapshot; 0 without a time."""
        return (self.taken - parse_time(stamp)).total_seconds() if stamp else 0.0

    def age(self, thing: Document) -> float:
        """Return the object's age in seconds."""
        return self.seconds_since(thing["metadata"]["creationTimestamp"])


def take_snapshot(cluster: Cluster) -> Snapshot:
    """Read as much of the namespace as possible. Raises UnreachableError if nothing can be read."""
    core, apps, batch = cluster.core, cluster.apps, BatchV1Api(cluster.api)
    lists: dict[str, Callable[..., Any]] = {
        "pods": core.list_namespaced_pod,
        "replica_sets": apps.list_namespaced_replica_set,
        "deployments": apps.list_namespaced_deployment,
        "stateful_sets": apps.list_namespaced_stateful_set,
        "jobs": batch.list_namespaced_job,
        "services": core.list_namespaced_service,
        "endpoint_slices": DiscoveryV1Api(cluster.api).list_namespaced_endpoint_slice,
        "claims": core.list_namespaced_persistent_volume_claim,
        "events": core.list_namespaced_event,
    }
    objects: dict[str, Any] = {}
    unread: dict[str, str] = {}
    with ThreadPoolExecutor(max_workers=4) as readers:
        answers = {kind: readers.submit(read_items, read, cluster.namespace) for kind, read in lists.items()}
        # A release's own credentials need not see the whole cluster.
        nodes = readers.submit(_items_if_allowed, core.list_node)
        everywhere = readers.submit(_items_if_allowed, core.list_pod_for_all_namespaces)
        read_gateways = CustomObjectsApi(cluster.api).list_namespaced_custom_object
        gateways = readers.submit(_items_if_allowed, read_gateways, *GATEWAY_API, cluster.namespace, "gateways")
        for kind, answer in answers.items():
            try:
                objects[kind] = answer.result()
            except READ_ERRORS as error:
                objects[kind], unread[kind] = [], reason_of(error)
    if len(unread) == len(lists):
        raise UnreachableError(
            f"namespace {cluster.namespace} cannot be read: {next(iter(unread.values()))}. Check that the cluster runs,"
            " and that your credentials may list the namespace's objects"
        )
    pods_everywhere = everywhere.result()
    objects["pods"] = [Pod(each) for each in objects["pods"]]
    objects["pods_everywhere"] = None if pods_everywhere is None else [Pod(each) for each in pods_everywhere]
    return Snapshot(cluster.service, **objects, nodes=nodes.result(), gateways=gateways.result(), unread=unread)


def _items_if_allowed(read: Callable[..., Any], *arguments: str) -> list[Document] | None:
    try:
        return read_items(read, *arguments)
    except READ_ERRORS:
        return None


class PodReader:
    """Reads logs and probe answers of pods; what it returns contains no secrets."""

    def __init__(self, cluster: Cluster, mask: Mask) -> None:
        self._cluster = cluster
        self._mask = mask

    def log(self, pod: Pod, container: str, previous: bool) -> tuple[str, ...]:
        """Return the last lines of a container's log (``previous``: before its last restart); none if unreadable."""
        options = {"container": container, "previous": previous, "tail_lines": READ_LINES}
        try:
            read = self._cluster.core.read_namespaced_pod_log
            text = read_raw(read, pod.name, self._cluster.namespace, **options).decode(errors="replace")
        except READ_ERRORS:
            return ()
        return tuple(_shortened(self._mask(line)) for line in text.splitlines() if line.strip())

    def probe_answer(self, pod: Pod, port: int, path: str) -> str:
        """Return the pod's answer to a GET of the path, as "500: BODY"; "" if it does not answer."""
        try:
            with self._cluster.forward(pod, port, ANSWER_SECONDS) as connection:
                connection.request("GET", path, headers={"Connection": "close"})
                answer = connection.getresponse()
                body = answer.read(2 * LINE_LENGTH).decode(errors="replace")
        except (UnreachableError, http.client.HTTPException, OSError):
            return ""
        return _shortened(self._mask(f"{answer.status}: {' '.join(body.split())}"))

    def masked(self, text: str) -> str:
        """Return a message on one line, without secrets."""
        return _shortened(self._mask(" ".join(text.split())), 2 * LINE_LENGTH)


def _shortened(line: str, length: int = LINE_LENGTH) -> str:
    return line if len(line) <= length else f"{line[:length]}…"


def owners(thing: Document) -> set[str]:
    """Return the ids of the objects that own this one."""
    return {str(owner["uid"]) for owner in parts(thing, "metadata", "ownerReferences")}


def event_text(event: Document) -> str:
    """Return reason and message of an event on one line, and how often it occurred."""
    text = " ".join(str(event.get("message") or "").split())
    count = int(event.get("count") or part(event, "series").get("count") or 1)
    return f"{event.get('reason')}: {text}" + (f" ({count} times)" if count > 1 else "")


def _event_time(event: Document) -> str:
    stamp = part(event, "series").get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return str(stamp or event["metadata"].get("creationTimestamp") or "")
