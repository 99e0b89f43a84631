"""The one reader of pods' metrics: what they count about requests, and what was added between two readings.

The contract with the service: Prometheus' text format at a path of the metrics port, with a counter of requests by
status and a histogram of their times. `contract.judging.RequestMetrics` has their names.
"""

from __future__ import annotations

import http.client
import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, TypeGuard

from contract.judging import RequestMetrics
from promotion.state.cluster.cluster import Cluster, UnreachableError
from promotion.state.cluster.pods import Pod

#: Prometheus' convention for the build of a process: a metric NAME_build_info with a label ``revision``.
BUILD_INFO = re.compile(r"^\w+_build_info\{[^}]*\brevision=\"(?P<revision>[^\"]*)\"", re.MULTILINE)
SERVER_ERRORS = range(500, 600)
#: A status, or `5xx` for all of its class.
STATUS = re.compile(r"^([0-9]+|[1-5]xx)$")
NO_PORT = "the service has no metrics port (config key metricsPort)"
#: How often a process's counters may go down: a supervisor may restart it once inside its container.
MAX_RESETS = 1
#: Pods read at the same time.
READERS = 8

#: Method and route template.
Route = tuple[str, str]


class MetricsError(ValueError):
    """Metrics that a verdict needs are missing from a pod's answer; the message names them."""


@dataclass(frozen=True)
class Counters:
    """Requests by route and status; for each route, the requests that took at most so many seconds (cumulative)."""

    requests: Mapping[tuple[Route, int], float] = field(default_factory=dict[tuple[Route, int], float])
    durations: Mapping[Route, Mapping[float, float]] = field(default_factory=dict[Route, dict[float, float]])

    @cached_property
    def by_route(self) -> Mapping[Route, Mapping[int, float]]:
        """Requests by status, for each route with at least one request."""
        routes: dict[Route, dict[int, float]] = defaultdict(dict)
        for (route, status), count in self.requests.items():
            if count > 0:
                routes[route][status] = count
        return dict(routes)

    @property
    def total(self) -> float:
        return sum(self.requests.values())

    @property
    def error_percent(self) -> float | None:
        """Percentage of requests answered 5xx; None without requests."""
        by_status = (item for statuses in self.by_route.values() for item in statuses.items())
        errors = sum(count for status, count in by_status if status in SERVER_ERRORS)
        return 100 * errors / self.total if self.total else None

    def milliseconds(self, share: float) -> float | None:
        """Return the time that ``share`` of all requests stay under; None without requests.

        It mixes all routes: good to look at, not to judge by.
        """
        buckets: dict[float, float] = defaultdict(float)
        for route in self.durations.values():
            for bound, count in route.items():
                buckets[bound] += count
        seconds = quantile(buckets, share)
        return None if seconds is None else 1000 * seconds


@dataclass(frozen=True)
class Reading:
    """A pod's counters, or None and why they could not be read. ``process`` changes with each restart."""

    process: str
    counters: Counters | None
    unread: str = ""
    revision: str = ""
    pod: str = ""


def read_pods(cluster: Cluster, pods: Sequence[Pod], metrics: RequestMetrics) -> list[Reading]:
    """Read the metrics of all pods, several at a time."""
    with ThreadPoolExecutor(READERS) as readers:
        return list(readers.map(partial(_read, cluster, metrics), pods))


def _read(cluster: Cluster, metrics: RequestMetrics, pod: Pod) -> Reading:
    port = pod.port("metrics")
    if port is None:
        return Reading(pod.process, None, NO_PORT, pod=pod.name)
    try:
        with cluster.forward(pod, port) as connection:
            connection.request("GET", metrics.path)
            text = connection.getresponse().read().decode(errors="replace")
        counters = parse(text, pod.probe_paths, metrics)
    except UnreachableError as error:
        return Reading(pod.process, None, str(error), pod=pod.name)
    except (MetricsError, http.client.HTTPException, OSError) as error:
        return Reading(pod.process, None, f"pod {pod.name}, {metrics.path}: {error}", pod=pod.name)
    build = BUILD_INFO.search(text)
    return Reading(pod.process, counters, "", build["revision"] if build else "", pod.name)


def parse(text: str, hidden: Collection[str] = (), metrics: RequestMetrics | None = None) -> Counters:
    """Parse a pod's metrics, without the ``hidden`` routes (probes) and the metrics route itself.

    Raises MetricsError.
    """
    from prometheus_client.parser import text_string_to_metric_families  # slow to import

    names = metrics or RequestMetrics()
    requests: dict[tuple[Route, int], float] = defaultdict(float)
    durations: dict[Route, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    known: set[str] = set()
    statuses: set[str | None] = set()
    try:
        samples: list[Any] = [s for family in text_string_to_metric_families(text) for s in family.samples]
        for sample in samples:
            known.add(sample.name)
            if any(sample.labels.get(label) != value for label, value in names.only.items()):
                continue
            route = (sample.labels.get(names.method, ""), sample.labels.get(names.route, ""))
            status = sample.labels.get(names.status)
            is_hidden = any(_covers(route[1], path) for path in (*hidden, names.path))
            if sample.name == names.requests and (_is_status(status) or not is_hidden):
                statuses.add(status)
            if is_hidden:
                continue
            if sample.name == names.requests and _is_status(status):
                requests[route, _status(status)] += sample.value
            elif sample.name == f"{names.durations}_bucket" and (_is_status(status) or not names.is_histogram):
                durations[route][float(sample.labels.get("le", "")) * names.seconds] += sample.value
    except ValueError as error:
        raise MetricsError(f"the answer is not in Prometheus' text format ({error})") from None
    _require_a_status(statuses, names)
    # Before its first request a service has no series yet, but perhaps already the lines about their type.
    family = names.durations if names.is_histogram else names.requests
    if names.requests not in known and not re.search(rf"^# TYPE {re.escape(family)} ", text, re.MULTILINE):
        raise MetricsError(f"there is no metric `{names.requests}`, or no request has been counted yet")
    return Counters(requests, {route: dict(buckets) for route, buckets in durations.items()})


def _covers(route: str, path: str) -> bool:
    """Return whether a route is this path, or a pattern such as ``/actuator/health/**`` that includes it.

    ``/**`` includes every path, those of the users too, so it covers none.
    """
    parent = route.removesuffix("/**")
    return route == path or (parent not in ("", route) and f"{path}/".startswith(f"{parent}/"))


def _is_status(text: str | None) -> TypeGuard[str]:
    """Return whether the label has a status.

    OpenTelemetry omits it if no answer was sent, and Micrometer writes UNKNOWN; such a request has no result to judge.
    """
    return text is not None and STATUS.match(text) is not None


def _status(text: str) -> int:
    """Return an HTTP status; 500 for ``5xx``."""
    return int(text.replace("xx", "00"))


def _require_a_status(statuses: Collection[str | None], names: RequestMetrics) -> None:
    """Raise MetricsError if requests were counted, but no sample has a status: then the label is another one."""
    if not statuses or any(map(_is_status, statuses)):
        return
    if None in statuses:
        raise MetricsError(f"`{names.requests}` has no label {names.status!r}, the status of the answers")
    other = min(filter(None, statuses), default="")
    why = f"the label `{names.status}` of `{names.requests}` is {other!r}, which is no HTTP status"
    raise MetricsError(f"the answer is not in Prometheus' text format ({why})")


def total(parts: Iterable[Counters]) -> Counters:
    """Add up several pods' counters."""
    requests: dict[tuple[Route, int], float] = defaultdict(float)
    durations: dict[Route, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    for part in parts:
        for key, count in part.requests.items():
            requests[key] += count
        for route, buckets in part.durations.items():
            for bound, count in buckets.items():
                durations[route][bound] += count
    return Counters(requests, {route: dict(buckets) for route, buckets in durations.items()})


def difference(before: Counters, after: Counters) -> Counters:
    """Return what one process counted between two readings; all of ``after`` if its counters were reset."""
    if _is_reset(before, after):
        return after
    return Counters(
        {key: count - before.requests.get(key, 0) for key, count in after.requests.items()},
        {
            route: {bound: count - before.durations.get(route, {}).get(bound, 0) for bound, count in buckets.items()}
            for route, buckets in after.durations.items()
        },
    )


def _is_reset(before: Counters, after: Counters) -> bool:
    return any(after.requests.get(key, 0) < count for key, count in before.requests.items())


class CounterDeltas:
    """Turn the readings of one track's pods into requests since the previous readings.

    A pod that starts later counts from its start. A pod that is gone, or no longer answers, counts up to its last
    reading.
    """

    def __init__(self) -> None:
        self._last: dict[str, Counters | None] = {}
        self._resets: dict[str, int] = defaultdict(int)
        self._started = False

    def add(self, readings: Iterable[Reading]) -> Counters:
        """Return the requests since the previous readings; none the first time."""
        return total(self.add_by_pod(readings).values())

    def add_by_pod(self, readings: Iterable[Reading], cold: Collection[str] = ()) -> dict[str, Counters]:
        """Return the same requests by pod name. Those of ``cold`` processes do not count yet."""
        parts: dict[str, Counters] = {}
        for reading in readings:
            is_new = self._started and reading.process not in self._last
            before = Counters() if is_new else self._last.get(reading.process)
            if before is not None and reading.counters is not None:
                self._resets[reading.pod] += _is_reset(before, reading.counters)
                if reading.process not in cold:
                    added = difference(before, reading.counters)
                    parts[reading.pod] = total([parts[reading.pod], added]) if reading.pod in parts else added
            # A process that could not be read earlier is not new when it can be read.
            self._last[reading.process] = reading.counters or before
        self._started = True
        return parts

    @property
    def shared_port(self) -> str:
        """Name of a pod whose counters go up and down, as those of several processes behind one port; "" if none."""
        return next((pod for pod, resets in self._resets.items() if resets > MAX_RESETS), "")


def quantile(buckets: Mapping[float, float], share: float) -> float | None:
    """Return the seconds that ``share`` of the requests stay under, as if spread evenly in their bucket.

    None without requests; the last finite bound for a time above it.
    """
    count = buckets.get(math.inf, 0)
    if not count:
        return None
    upper = next(bound for bound in sorted(buckets) if buckets[bound] >= share * count)
    below = max((bound for bound in buckets if bound < upper), default=0.0)
    if upper == math.inf:
        return below
    before = buckets.get(below, 0)
    return below + (upper - below) * (share * count - before) / (buckets[upper] - before)
