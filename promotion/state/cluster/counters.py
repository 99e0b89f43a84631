"""Counted requests of one track: sums, and what was added between two readings, whatever they were read from."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

SERVER_ERRORS = range(500, 600)
#: How often a process's counters may go down: a supervisor may restart it once inside its container.
MAX_RESETS = 1

#: Method and route template.
Route = tuple[str, str]


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
