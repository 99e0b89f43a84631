"""What pods count about their requests, and what was added between two readings of it.

The contract with the service: Prometheus' text format at ``/metrics`` of the metrics port, with the counter
``http_requests_total{method,route,status}`` and the histogram ``http_request_duration_seconds{method,route}``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

REQUESTS = "http_requests_total"
DURATIONS = "http_request_duration_seconds_bucket"
#: What the addressbook, and no other service, says about itself.
ADDRESSBOOK = "addressbook_build_info"
METRICS_PATH = "/metrics"

#: Method and route template.
Route = tuple[str, str]


class NoMetrics(ValueError):
    """What a pod answered has none of the metrics that a verdict needs; the message says which."""


@dataclass(frozen=True)
class Counters:
    """Requests by route and status; of each route, requests that took at most so many seconds (cumulative)."""

    requests: Mapping[tuple[Route, int], float] = field(default_factory=dict[tuple[Route, int], float])
    durations: Mapping[Route, Mapping[float, float]] = field(default_factory=dict[Route, dict[float, float]])

    @cached_property
    def by_route(self) -> Mapping[Route, Mapping[int, float]]:
        """Requests by status, of each route that was asked for at least once."""
        found: dict[Route, dict[int, float]] = defaultdict(dict)
        for (route, status), count in self.requests.items():
            if count > 0:
                found[route][status] = count
        return dict(found)

    def answered(self, routes: Collection[Route], statuses: range) -> float:
        """Requests of the routes that were answered with one of the statuses."""
        asked = (self.by_route.get(route, {}) for route in routes)
        return sum(count for route in asked for status, count in route.items() if status in statuses)

    @property
    def total(self) -> float:
        """All requests."""
        return sum(self.requests.values())


@dataclass(frozen=True)
class Reading:
    """A pod's counters, None where they could not be read. ``process`` is another one after each restart."""

    process: str
    counters: Counters | None


def parse(text: str, left_out: Collection[str] = ()) -> Counters:
    """Read a pod's metrics; routes in ``left_out`` (probes) and the metrics themselves are not users' requests.

    Raises NoMetrics.
    """
    from prometheus_client.parser import text_string_to_metric_families  # only a verdict needs it

    hidden = {*left_out, METRICS_PATH}
    requests: dict[tuple[Route, int], float] = defaultdict(float)
    durations: dict[Route, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    known: set[str] = set()
    try:
        samples: list[Any] = [s for family in text_string_to_metric_families(text) for s in family.samples]
        for sample in samples:
            known.add(sample.name)
            if sample.name not in (REQUESTS, DURATIONS):
                continue
            route = (sample.labels["method"], sample.labels["route"])
            if route[1] in hidden:
                continue
            if sample.name == REQUESTS:
                requests[route, int(sample.labels["status"])] += sample.value
            else:
                durations[route][float(sample.labels["le"])] += sample.value
    except KeyError as error:
        raise NoMetrics(
            f"`{REQUESTS}` or its histogram has no label {error}: method, route and status are needed"
        ) from None
    except ValueError as error:
        raise NoMetrics(f"it is not Prometheus' text format ({error})") from None
    # Before its first request a service has no series yet; the lines about their type are there all the same.
    if REQUESTS not in known and f"# TYPE {REQUESTS}" not in text:
        raise NoMetrics(f"there is no `{REQUESTS}`")
    return Counters(requests, {route: dict(buckets) for route, buckets in durations.items()})


def total(parts: Iterable[Counters]) -> Counters:
    """The sum of several pods' counters."""
    requests: dict[tuple[Route, int], float] = defaultdict(float)
    durations: dict[Route, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    for part in parts:
        for key, count in part.requests.items():
            requests[key] += count
        for route, buckets in part.durations.items():
            for bound, count in buckets.items():
                durations[route][bound] += count
    return Counters(requests, {route: dict(buckets) for route, buckets in durations.items()})


def added(before: Counters, after: Counters) -> Counters:
    """What was counted between two readings of one process; all of it where the counters began anew."""
    if any(after.requests.get(key, 0) < count for key, count in before.requests.items()):
        return after
    return Counters(
        {key: count - before.requests.get(key, 0) for key, count in after.requests.items()},
        {
            route: {bound: count - before.durations.get(route, {}).get(bound, 0) for bound, count in buckets.items()}
            for route, buckets in after.durations.items()
        },
    )


class Ledger:
    """One track's pods through a trial: turns their readings into what was added since the ones before.

    A pod that comes later counts from its start; one that is gone, or does not answer any more, counts up to its last
    reading.
    """

    def __init__(self) -> None:
        self._last: dict[str, Counters | None] = {}
        self._begun = False

    def add(self, readings: Iterable[Reading]) -> Counters:
        """Take the readings of one look; returns what they add to those before, nothing the first time."""
        parts: list[Counters] = []
        for reading in readings:
            is_new = self._begun and reading.process not in self._last
            before = Counters() if is_new else self._last.get(reading.process)
            if before is not None and reading.counters is not None:
                parts.append(added(before, reading.counters))
            # What was there already and could not be read is no new one when it can be.
            self._last[reading.process] = reading.counters or before
        self._begun = True
        return total(parts)
