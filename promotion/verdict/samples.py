"""The requests of a trial as arrays, so that a comparison over all routes and intervals is a few sums.

Every array may have leading axes: the simulation in tests/unit/promotion/verdict judges hundreds of trials at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promotion.state.cluster.counters import SERVER_ERRORS, Counters, Route

Array = NDArray[np.float64]

#: Positions on the last axis of ``answers``.
SUCCESS, REFUSED, ERROR = range(3)
REFUSALS = range(400, 500)


@dataclass(frozen=True)
class Interval:
    """The requests that each track answered between two looks; ``pods`` has the canary's by pod."""

    canary: Counters
    stable: Counters
    pods: dict[str, Counters] = field(default_factory=dict[str, Counters])


@dataclass(frozen=True)
class Requests:
    """One track's requests.

    ``answers[interval, route, kind]``: by success, refusal (4xx) and error (5xx).
    ``durations[interval, route, bucket]``: requests that took at most the bucket's bound (cumulative).
    """

    answers: Array
    durations: Array

    @property
    def by_route(self) -> Array:
        """Requests ``[interval, route]``."""
        return self.answers.sum(-1)

    @property
    def route_totals(self) -> Array:
        """Requests of the whole trial ``[route]``."""
        return self.answers.sum((-3, -1))

    def blocks(self, count: int) -> Requests:
        """Merge the intervals into at most ``count`` blocks of consecutive ones."""
        length = self.answers.shape[-3]
        count = min(count, length)
        starts = [length * block // count for block in range(count)]
        return Requests(
            np.add.reduceat(self.answers, starts, axis=-3), np.add.reduceat(self.durations, starts, axis=-3)
        )


@dataclass(frozen=True)
class Samples:
    """Both tracks' requests on the same ``routes``; ``bounds[route, bucket]`` in seconds, the last infinite."""

    routes: Sequence[Route]
    bounds: Array
    canary: Requests
    stable: Requests

    @classmethod
    def of(cls, intervals: Sequence[Interval]) -> Samples:
        """Turn the intervals of a trial into arrays.

        A route whose buckets differ between the tracks has no durations: they could not be compared.
        """
        counters = [(interval.canary, interval.stable) for interval in intervals]
        routes = sorted({route for pair in counters for each in pair for route in each.by_route})
        by_route = [_common_bounds(counters, route) for route in routes]
        width = max((len(each) for each in by_route), default=1)
        bounds = np.array([[*each, *[math.inf] * (width - len(each))] for each in by_route]).reshape(-1, width)
        return cls(
            routes,
            bounds,
            *(_requests([pair[track] for pair in counters], routes, by_route, width) for track in range(2)),
        )

    def pods(self, intervals: Sequence[Interval]) -> dict[str, Requests]:
        """Return the requests of each of the canary's pods, by name."""
        bounds = [[*(float(bound) for bound in row if bound < math.inf), math.inf] for row in self.bounds]
        names = sorted({pod for interval in intervals for pod in interval.pods})
        nothing, width = Counters(), self.bounds.shape[1]
        by_pod = {pod: [interval.pods.get(pod, nothing) for interval in intervals] for pod in names}
        return {pod: _requests(counters, self.routes, bounds, width) for pod, counters in by_pod.items()}

    def with_canary(self, requests: Requests) -> Samples:
        """Return the samples with these requests as the canary's, such as those of one of its pods."""
        return replace(self, canary=requests)

    def without(self, pod: Requests) -> Samples:
        """Return the samples without the requests of one of the canary's pods."""
        whole = self.canary
        return self.with_canary(Requests(whole.answers - pod.answers, whole.durations - pod.durations))

    def blocks(self, count: int) -> Samples:
        """Merge the intervals into at most ``count`` blocks of consecutive ones."""
        return replace(self, canary=self.canary.blocks(count), stable=self.stable.blocks(count))


def differing_buckets(intervals: Sequence[Interval]) -> list[Route]:
    """Return the routes that both tracks serve with different buckets."""
    bounds = {
        track: {
            route: frozenset(buckets)
            for interval in intervals
            for route, buckets in getattr(interval, track).durations.items()
            if buckets.get(math.inf)
        }
        for track in ("canary", "stable")
    }
    return sorted(route for route, own in bounds["canary"].items() if own != bounds["stable"].get(route, own))


def _common_bounds(counters: Sequence[tuple[Counters, Counters]], route: Route) -> list[float]:
    """Return the route's bucket bounds if both tracks have the same; otherwise only infinity."""
    seen = {frozenset(each.durations[route]) for pair in counters for each in pair if route in each.durations}
    return sorted(next(iter(seen))) if len(seen) == 1 else [math.inf]


def _requests(
    intervals: Sequence[Counters], routes: Sequence[Route], bounds: Sequence[Sequence[float]], width: int
) -> Requests:
    answers = np.zeros((len(intervals), len(routes), 3))
    durations = np.zeros((len(intervals), len(routes), width))
    for i, counters in enumerate(intervals):
        for r, route in enumerate(routes):
            for status, count in counters.by_route.get(route, {}).items():
                kind = ERROR if status in SERVER_ERRORS else REFUSED if status in REFUSALS else SUCCESS
                answers[i, r, kind] += count
            buckets: Any = counters.durations.get(route)
            if buckets and len(bounds[r]) > 1:
                durations[i, r] = buckets[math.inf]
                durations[i, r, : len(bounds[r])] = [buckets[bound] for bound in bounds[r]]
    return Requests(answers, durations)


def quantile(durations: Array, bounds: Array, share: float) -> Array:
    """Return, by route, the seconds that ``share`` of the requests stay under, as if spread evenly in their bucket.

    ``durations[route, bucket]``. Like Prometheus' histogram_quantile, but infinite above the last finite bound; not a
    number for a route without requests.
    """
    count = durations[..., -1:]
    upper = np.argmax(durations >= share * count, axis=-1)[..., None]
    full = np.broadcast_to(bounds, durations.shape)
    top, low = np.take_along_axis(full, upper, -1), _below(full, upper)
    before = _below(durations, upper)
    inside = np.take_along_axis(durations, upper, -1) - before
    with np.errstate(invalid="ignore", divide="ignore"):
        seconds = low + (top - low) * (share * count - before) / inside
    return np.where(count > 0, np.where(np.isinf(top), np.inf, seconds), np.nan)[..., 0]


def count_over(durations: Array, bounds: Array, seconds: Array) -> Array:
    """Return how many requests ``[interval, route]`` took longer than the route's ``seconds``, by interpolation.

    Not a number where the seconds are above the last finite bound.
    """
    full = np.broadcast_to(bounds, (*seconds.shape, bounds.shape[-1]))
    upper = np.minimum((full < seconds[..., None]).sum(-1, keepdims=True), bounds.shape[-1] - 1)
    top = np.take_along_axis(full, upper, -1)[..., 0]
    low = _below(full, upper)[..., 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.where(np.isinf(top), np.nan, (seconds - low) / (top - low))[..., None, :]
    index = np.broadcast_to(upper[..., None, :, :], (*durations.shape[:-1], 1))
    at = np.take_along_axis(durations, index, -1)[..., 0]
    before = _below(durations, index)[..., 0]
    return durations[..., -1] - before - (at - before) * part


def _below(values: Array, bucket: Any) -> Array:
    """Return the value of the bucket below ``bucket`` on the last axis; 0 below the first."""
    return np.where(bucket > 0, np.take_along_axis(values, np.maximum(bucket - 1, 0), -1), 0)
