"""Canary against stable: by how much a share of requests differs, and how sure that is.

A trial is cut into intervals, and each interval into routes. Within one route of one interval both tracks met the
same weather, so the shares are compared there, and the differences averaged with Mantel-Haenszel's weights
(n1 n0 / (n1 + n0)): another mix of routes, or a slow minute that hits both tracks, is no difference. How sure the
average is comes from how much it scatters from interval to interval (a cluster-robust variance with Student's t over
intervals, never below what the number of requests alone allows), so that a burst counts as one event and not as a
hundred requests.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from promotion.verdict.metrics import Counters, Route, total

#: Every status.
ANY = range(1000)
#: Chance, over the whole trial and all its comparisons, that a canary at its very limits is called unhealthy. One that
#: is as good as stable is far from them: tests/unit/promotion/verdict shows that it hardly ever is.
FALSE_ALARM = 0.05
#: Part of it that is kept for the end of the trial; the looks before share the rest.
KEPT_FOR_THE_END = 0.5
#: Chance that a comparison passes a canary that is at its limit or beyond.
FALSE_PASS = 0.05
#: Intervals without which there is no scatter to speak of.
MIN_INTERVALS = 3


@dataclass(frozen=True)
class Interval:
    """What each track answered between two looks."""

    canary: Counters
    stable: Counters


@dataclass(frozen=True)
class Pair:
    """One route in one interval: requests of each track, and those of them that count (errors, slow ones)."""

    canary: float
    canary_hits: float
    stable: float
    stable_hits: float


@dataclass(frozen=True)
class Comparison:
    """``difference`` of the shares (canary less stable, 0 to 1) and its standard error; the requests behind it."""

    canary: float
    canary_hits: float
    stable: float
    stable_hits: float
    intervals: int
    difference: float
    error: float

    def at_least(self, chance: float) -> float:
        """What the true difference is at least, but for this chance."""
        return self.difference - self._width(chance)

    def at_most(self, chance: float = FALSE_PASS) -> float:
        """What the true difference is at most, but for this chance."""
        return self.difference + self._width(chance)

    def _width(self, chance: float) -> float:
        from scipy import special  # pyright: ignore[reportMissingTypeStubs]  a quarter of a second: only here

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
    """Chance of a false alarm that one comparison may spend at one look (1 to ``looks``).

    Their sum over looks and comparisons is FALSE_ALARM, and chances add up at most (Bonferroni), whatever depends on
    what: looking often costs nothing but certainty at each look.
    """
    if looks <= 1:
        return FALSE_ALARM / comparisons
    part = KEPT_FOR_THE_END if look >= looks else (1 - KEPT_FOR_THE_END) / (looks - 1)
    return FALSE_ALARM * part / comparisons


def answered(intervals: Sequence[Interval], statuses: range, new_routes: bool) -> list[list[Pair]]:
    """Requests that were answered with one of the statuses, by route.

    With ``new_routes``, what only the canary was ever asked for is held against all of stable's requests.
    """
    known = {route for interval in intervals for route in interval.stable.by_route}
    pairs: list[list[Pair]] = []
    for interval in intervals:
        found = [_by_route(interval, {route}, {route}, statuses) for route in sorted(known)]
        if new_routes and (new := interval.canary.by_route.keys() - known):
            found.append(_by_route(interval, new, interval.stable.by_route, statuses))
        pairs.append(found)
    return pairs


def slower(intervals: Sequence[Interval], bounds: dict[Route, float]) -> list[list[Pair]]:
    """Requests that took longer than their route's bound (seconds)."""
    pairs: list[list[Pair]] = []
    for interval in intervals:
        found: list[Pair] = []
        for route, bound in sorted(bounds.items()):
            canary, stable = (each.durations.get(route, {}) for each in (interval.canary, interval.stable))
            if bound in canary and bound in stable:
                ones = (canary[math.inf], canary[math.inf] - canary[bound])
                others = (stable[math.inf], stable[math.inf] - stable[bound])
                found.append(Pair(*ones, *others))
        pairs.append(found)
    return pairs


def bounds(intervals: Sequence[Interval], share: float, times: float, least: int) -> dict[Route, float]:
    """For each route the first bucket bound that is ``times`` what ``share`` of stable's requests stay under.

    It begins at a bucket's upper bound, so the allowance is never less than ``times``. Routes with fewer than
    ``least`` requests at stable, or with no such bound, are left out.
    """
    found: dict[Route, float] = {}
    for route, buckets in total(interval.stable for interval in intervals).durations.items():
        usual = quantile_bound(buckets, share)
        if buckets.get(math.inf, 0) >= least and usual is not None:
            bound = min((each for each in buckets if each >= times * usual), default=math.inf)
            if bound < math.inf:
                found[route] = bound
    return found


def quantile_bound(buckets: Mapping[float, float], share: float) -> float | None:
    """The bucket bound that ``share`` of the requests stay under; None without requests."""
    whole = buckets.get(math.inf, 0)
    return next((bound for bound in sorted(buckets) if whole and buckets[bound] >= share * whole), None)


def quantile(buckets: Mapping[float, float], share: float) -> float | None:
    """Seconds that ``share`` of the requests stay under, as if they were spread evenly in their bucket."""
    upper = quantile_bound(buckets, share)
    if upper is None:
        return None
    below = max((bound for bound in buckets if bound < upper), default=0.0)
    if upper == math.inf:
        return below
    before = buckets.get(below, 0)
    return below + (upper - below) * (share * buckets[math.inf] - before) / (buckets[upper] - before)


def _by_route(interval: Interval, canary: Collection[Route], stable: Collection[Route], statuses: range) -> Pair:
    return Pair(
        interval.canary.answered(canary, ANY),
        interval.canary.answered(canary, statuses),
        interval.stable.answered(stable, ANY),
        interval.stable.answered(stable, statuses),
    )


def _both(pair: Pair) -> bool:
    return pair.canary > 0 and pair.stable > 0


def _binomial(requests: float, hits: float) -> float:
    """Variance of a share by the number of requests alone; one hit and one miss added (Agresti and Caffo, 2000)."""
    share = (hits + 1) / (requests + 2)
    return share * (1 - share) / (requests + 2)
