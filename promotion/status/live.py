"""The tracks as the cluster has them now: pods, share of the users, source revision, errors and speed."""

from __future__ import annotations

import http.client
import math
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from kubernetes.client import V1Deployment, V1Pod

from promotion.state.cluster.cluster import Cluster, Track, UnreachableError, port_of
from promotion.verdict.comparison import quantile
from promotion.verdict.metrics import METRICS_PATH, Counters, Ledger, NoMetrics, Reading, parse, total
from promotion.verdict.trial import image_of, probe_paths, replicas

TRACKS: tuple[Track, ...] = ("stable", "canary")
#: Pods asked for their metrics at a time.
READERS = 8
SERVER_ERRORS = range(500, 600)
#: The Prometheus convention for what a process says of its build: a metric NAME_build_info with a label `revision`.
BUILD_INFO = re.compile(r"^\w+_build_info\{[^}]*\brevision=\"(?P<revision>[^\"]*)\"", re.MULTILINE)


@dataclass(frozen=True)
class Served:
    """Requests of users that a track answered; times in milliseconds, None without requests."""

    requests: int
    error_percent: float | None
    median_ms: float | None
    p90_ms: float | None


@dataclass(frozen=True)
class LiveTrack:
    """``share`` of the users in percent, by ready pods behind the public Service; ``revision`` is the Git commit that
    the pods say they were built from, "" where they don't; ``served`` is None where no metrics could be read."""

    image: str
    wanted: int
    ready: int
    pods: int
    share: float
    revision: str
    served: Served | None
    unread: str = ""

    @property
    def digest(self) -> str:
        """``sha256:…``"""
        return self.image.partition("@")[2]


@dataclass
class Meter:
    """Reads the pods' metrics: all since they started, or from the second look on what came since the last."""

    lifetime: bool
    _ledgers: dict[Track, Ledger] = field(default_factory=dict[Track, Ledger])

    def look(self, cluster: Cluster, track: Track, pods: Sequence[V1Pod]) -> tuple[Served | None, str, str]:
        """What the track served, the revision that it says, and why nothing could be read."""
        with ThreadPoolExecutor(READERS) as readers:
            found = list(readers.map(partial(_reading, cluster), pods))
        readings = [reading for reading, _, _ in found]
        revision = next((said for _, said, _ in found if said), "")
        unread = next((why for _, _, why in found if why), "")
        ledger = self._ledgers.get(track)
        whole = self.lifetime or ledger is None
        ledger = self._ledgers.setdefault(track, Ledger())
        added = ledger.add(readings)
        counters = total(each.counters for each in readings if each.counters) if whole else added
        if not any(each.counters for each in readings):
            return None, revision, unread
        return served(counters), revision, unread


def live_tracks(cluster: Cluster, meter: Meter) -> dict[Track, LiveTrack]:
    """The tracks that have a Deployment. Raises UnreachableError when the cluster does not answer."""
    pods = {track: cluster.pods(track) for track in TRACKS}
    selector = public_selector(cluster)
    behind = {
        track: sum(is_ready(pod) and selector.items() <= _labels(pod).items() for pod in found)
        for track, found in pods.items()
    }
    everyone = sum(behind.values())
    found: dict[Track, LiveTrack] = {}
    for track in TRACKS:
        deployment = cluster.deployment(track)
        if deployment is None:
            continue
        share = 100 * behind[track] / everyone if everyone else 0.0
        found[track] = _live(cluster, meter, track, deployment, pods[track], round(share, 1))
    return found


def _live(
    cluster: Cluster, meter: Meter, track: Track, deployment: V1Deployment, pods: Sequence[V1Pod], share: float
) -> LiveTrack:
    image = image_of(deployment)
    # In a rollout the earlier image's pods are the track's too, but say nothing about this one.
    own = [pod for pod in pods if _image(pod) == image and _runs(pod)]
    done, revision, unread = meter.look(cluster, track, own)
    return LiveTrack(
        image,
        replicas(deployment),
        sum(map(is_ready, pods)),
        len(pods),
        share,
        revision,
        done,
        unread if not done else "",
    )


def served(counters: Counters) -> Served:
    """Error share and times of all routes together."""
    requests = counters.total
    if not requests:
        return Served(0, None, None, None)
    errors = sum(count for (_, status), count in counters.requests.items() if status in SERVER_ERRORS)
    buckets: dict[float, float] = {}
    for route in counters.durations.values():
        for bound, count in route.items():
            buckets[bound] = buckets.get(bound, 0) + count
    median, tail = (_milliseconds(buckets, share) for share in (0.5, 0.9))
    return Served(round(requests), 100 * errors / requests, median, tail)


def _milliseconds(buckets: Mapping[float, float], share: float) -> float | None:
    seconds = quantile(buckets, share) if buckets.get(math.inf) else None
    return None if seconds is None else 1000 * seconds


def public_selector(cluster: Cluster) -> dict[str, str]:
    """Labels that the public Service selects now; those of the whole service where there is none."""
    services = cast(list[Any], cluster.core.list_namespaced_service(cluster.namespace).items)
    public = next((each for each in services if each.metadata.name == f"{cluster.service}-lb"), None)
    return dict(public.spec.selector or {}) if public else {"app": cluster.service}


def _reading(cluster: Cluster, pod: V1Pod) -> tuple[Reading, str, str]:
    """The pod's counters, the revision it says, and why there are none."""
    status = cast(Any, pod).status.container_statuses[0]
    process = f"{cast(Any, pod).metadata.uid}/{status.restart_count}"
    port = port_of(pod, "metrics")
    if port is None:
        return Reading(process, None), "", "the service has no metrics port"
    try:
        with cluster.forward(pod, port) as connection:
            connection.request("GET", METRICS_PATH)
            text = connection.getresponse().read().decode(errors="replace")
        counters = parse(text, probe_paths(pod))
    except (UnreachableError, NoMetrics, http.client.HTTPException, OSError) as error:
        return Reading(process, None), "", f"metrics of pod {cast(Any, pod).metadata.name} cannot be read: {error}"
    said = BUILD_INFO.search(text)
    return Reading(process, counters), said["revision"] if said else "", ""


def is_ready(pod: V1Pod) -> bool:
    """Whether the pod takes requests."""
    conditions = cast(list[Any], cast(Any, pod).status.conditions or [])
    return any(each.type == "Ready" and each.status == "True" for each in conditions)


def _runs(pod: V1Pod) -> bool:
    statuses = cast(list[Any], cast(Any, pod).status.container_statuses or [])
    return bool(statuses) and statuses[0].state.running is not None


def _image(pod: V1Pod) -> str:
    return str(cast(Any, pod).spec.containers[0].image)


def _labels(pod: V1Pod) -> dict[str, str]:
    return cast(dict[str, str], cast(Any, pod).metadata.labels or {})
