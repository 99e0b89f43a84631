"""Canary against stable: by how much a share of requests differs, and how certain that is.

A trial is cut into intervals, and each interval into routes. Within one route of one interval both tracks ran under the
same conditions, so the shares are compared there and the differences averaged with Mantel-Haenszel's weights
(n1 n0 / (n1 + n0)). A different mix of routes, or a slow minute that hits both tracks, makes no difference. The
standard error comes from the scatter between intervals (a cluster-robust variance with Student's t over intervals) and
is never below what the number of requests allows, so that a burst counts as one event and not as a hundred requests.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, cast

from promotion.state.cluster.metrics import Counters, Route, quantile_bound, total

ALL_STATUSES = range(1000)
#: Chance, over the whole trial and all its comparisons, that a canary exactly at its limits is called unhealthy. One as
#: good as stable is far from them: tests/unit/promotion/verdict shows that it hardly ever is.
FALSE_ALARM = 0.05
#: Part of that chance kept for the end of the trial; the looks before share the rest.
KEPT_FOR_THE_END = 0.5
#: Chance that a comparison passes a canary at its limit or beyond.
FALSE_PASS = 0.05
#: Fewer intervals show no scatter.
MIN_INTERVALS = 3


@dataclass(frozen=True)
class Interval:
    """What each track answered between two looks."""

    canary: Counters
    stable: Counters


@dataclass(frozen=True)
class Pair:
    """One route in one interval: each track's requests, and how many of them count (errors, slow ones)."""

    canary: float
    canary_hits: float
    stable: float
    stable_hits: float


@dataclass(frozen=True)
class Comparison:
    """``difference`` of the shares (canary less stable, 0 to 1) with its standard error, and the requests behind it."""

    canary: float
    canary_hits: float
    stable: float
    stable_hits: float
    intervals: int
    difference: float
    error: float

    def lower_bound(self, chance: float) -> float:
        """Return the value that the true difference is below with this chance only."""
        return self.difference - self._width(chance)

    def upper_bound(self, chance: float = FALSE_PASS) -> float:
        """Return the value that the true difference is above with this chance only."""
        return self.difference + self._width(chance)

    def _width(self, chance: float) -> float:
        from scipy import special  # pyright: ignore[reportMissingTypeStubs]  slow to import

        if self.intervals < MIN_INTERVALS:
            return math.inf
        student = cast(Any, special).stdtrit(self.intervals - 1, 1 - chance)
        return float(student) * self.error


def compare(intervals: Sequence[Sequence[Pair]]) -> Comparison:
    """Compare the tracks over the pairs of each interval."""
    sums: list[tuple[float, float]] = []
    for pairs in intervals:
        weighed = [(pair.canary * pair.stable / (pair.canary + pair.stable), pair) for pair in pairs if _both(pair)]
        if weighed:
            difference = sum(w * (p.canary_hits / p.canary - p.stable_hits / p.stable) for w, p in weighed)
            sums.append((sum(w for w, _ in weighed), difference))
    used = [pair for pairs in intervals for pair in pairs if _both(pair)]
    canary, canary_hits = sum(p.canary for p in used), sum(p.canary_hits for p in used)
    stable, stable_hits = sum(p.stable for p in used), sum(p.stable_hits for p in used)
    weight = sum(w for w, _ in sums)
    mean = sum(d for _, d in sums) / weight if weight else 0.0
    count = len(sums)
    scatter = count / (count - 1) * sum((d - mean * w) ** 2 for w, d in sums) / weight**2 if count > 1 else math.inf
    variance = max(scatter, _binomial(canary, canary_hits) + _binomial(stable, stable_hits))
    return Comparison(canary, canary_hits, stable, stable_hits, count, mean, math.sqrt(variance))


def chance_at(look: int, looks: int, comparisons: int) -> float:
    """Return the chance of a false alarm that one comparison may spend at one look (1 to ``looks``).

    Over all looks and comparisons they add up to FALSE_ALARM (Bonferroni), so the promise holds however the looks
    depend on each other. Looking often only costs certainty at each look.
    """
    if looks <= 1:
        return FALSE_ALARM / comparisons
    part = KEPT_FOR_THE_END if look >= looks else (1 - KEPT_FOR_THE_END) / (looks - 1)
    return FALSE_ALARM * part / comparisons


def answered(intervals: Sequence[Interval], statuses: range, new_routes: bool) -> list[list[Pair]]:
    """Pair up, by route, the requests that were answered with one of the statuses.

    With ``new_routes``, routes that only the canary serves are compared with all of stable's requests.
    """
    known = {route for interval in intervals for route in interval.stable.by_route}
    pairs: list[list[Pair]] = []
    for interval in intervals:
        row = [_pair(interval, {route}, {route}, statuses) for route in sorted(known)]
        if new_routes and (new := interval.canary.by_route.keys() - known):
            row.append(_pair(interval, new, interval.stable.by_route, statuses))
        pairs.append(row)
    return pairs


def slower(intervals: Sequence[Interval], bounds: dict[Route, float]) -> list[list[Pair]]:
    """Pair up, by route, the requests that took longer than the route's bound (seconds)."""
    pairs: list[list[Pair]] = []
    for interval in intervals:
        row: list[Pair] = []
        for route, bound in sorted(bounds.items()):
            canary, stable = (each.durations.get(route, {}) for each in (interval.canary, interval.stable))
            if bound in canary and bound in stable:
                row.append(
                    Pair(
                        canary[math.inf],
                        canary[math.inf] - canary[bound],
                        stable[math.inf],
                        stable[math.inf] - stable[bound],
                    )
                )
        pairs.append(row)
    return pairs


def bounds(intervals: Sequence[Interval], share: float, times: float, minimum: int) -> dict[Route, float]:
    """For each route, return the first bucket bound of ``times`` the time that ``share`` of stable's requests take.

    The time is rounded up to a bucket's bound, so the allowance is never less than ``times``. Routes with fewer than
    ``minimum`` requests at stable, or without such a bound, are left out.
    """
    by_route: dict[Route, float] = {}
    for route, buckets in total(interval.stable for interval in intervals).durations.items():
        usual = quantile_bound(buckets, share)
        if buckets.get(math.inf, 0) >= minimum and usual is not None:
            bound = min((each for each in buckets if each >= times * usual), default=math.inf)
            if bound < math.inf:
                by_route[route] = bound
    return by_route


def _pair(interval: Interval, canary: Collection[Route], stable: Collection[Route], statuses: range) -> Pair:
    return Pair(
        interval.canary.answered(canary, ALL_STATUSES),
        interval.canary.answered(canary, statuses),
        interval.stable.answered(stable, ALL_STATUSES),
        interval.stable.answered(stable, statuses),
    )


def _both(pair: Pair) -> bool:
    return pair.canary > 0 and pair.stable > 0


def _binomial(requests: float, hits: float) -> float:
    """Variance of a share by the number of requests alone; one hit and one miss added (Agresti and Caffo, 2000)."""
    share = (hits + 1) / (requests + 2)
    return share * (1 - share) / (requests + 2)
