"""Compare the routes one by one: a small route that fails hardly shows in the shares over all requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from contract.settings import VerdictKeys
from promotion.state.cluster.counters import Route
from promotion.verdict.comparison import Comparison, Pairs, compare
from promotion.verdict.result import Check, Result
from promotion.verdict.samples import SUCCESS, Array, Interval, Samples, differing_buckets, quantile
from promotion.verdict.traffic import (
    ENDED_EARLY,
    ROUTE_MINIMUM,
    failures,
    failures_by_route,
    percent,
    points,
    route_minimum,
    skipped_rules,
    slow_over,
    slower,
    slower_than,
)

NAME = "routes"
#: How much larger the canary's share of failed or slow requests on one route may be. Wide, because a route may have few
#: requests, all from one user: the check finds routes that fail or are slow nearly always.
ROUTE_LIMIT = 0.25
#: Intervals are merged into this many blocks, because a small route has no requests in many intervals.
BLOCKS = 6
#: A route with at least this share of stable's requests must get requests at the canary too.
MISSING_SHARE = 0.01
#: Maximum share of stable's requests on routes whose latency limit lies above the last bucket.
BEYOND_SHARE = 0.10
#: Minimum share of successful answers of a working route.
WORKING = 0.9
RULE = "share of one route's requests that fail (4xx, 5xx) or are slow, canary minus stable; lost routes"


@dataclass(frozen=True)
class _Lost:
    """``missing`` routes work at stable, but the canary never answers them; ``new`` routes only the canary has.

    ``share`` is the missing routes' share of stable's requests.
    """

    missing: Sequence[Route]
    share: float
    new: Sequence[Route]

    @classmethod
    def of(cls, samples: Samples) -> _Lost:
        canary, stable = samples.canary.route_totals, samples.stable.route_totals
        canary_works = samples.canary.answers.sum(0)[..., SUCCESS] >= WORKING * canary
        stable_works = samples.stable.answers.sum(0)[..., SUCCESS] >= WORKING * stable
        expected = stable * canary.sum() / max(1.0, stable.sum())
        missing = (canary == 0) & stable_works & (expected >= ROUTE_MINIMUM)
        new = (stable == 0) & canary_works & (canary >= ROUTE_MINIMUM)
        return cls(
            _chosen(samples, missing), float(stable[missing].sum() / max(1.0, stable.sum())), _chosen(samples, new)
        )

    @property
    def names(self) -> str:
        """The missing routes and their share of stable's requests."""
        return f"{_names(self.missing)} ({percent(self.share, 1)} of stable's requests)"


def routes_check(samples: Samples, keys: VerdictKeys, chance: float, final: bool) -> Check:
    """Compare each route that has enough requests, and look for routes that the canary has lost."""
    lost = _Lost.of(samples)
    worst, why, judged = _worst(samples, keys, chance)
    if lost.missing:
        excess = compare(failures(samples))
        if excess.lower_bound(chance) > 0 and excess.difference > lost.share / 2:
            worst = "lost: " + _names(lost.missing)
            why = (
                f"the canary never answers {lost.names}, and {percent(excess.difference, 1)} more of its requests fail"
            )
    if why:
        return _check(worst, samples, "unhealthy", why, judged)
    if not final:
        return _check(worst, samples, "inconclusive", ENDED_EARLY, judged)
    if lost.missing and lost.share >= MISSING_SHARE:
        why = f"the canary got no request for {lost.names}: send it some, for instance through its own Service"
        return _check("not tried: " + _names(lost.missing), samples, "inconclusive", why, judged)
    return _check(worst, samples, "healthy", "", judged)


def skipped_checks(keys: VerdictKeys, why: str) -> list[Check]:
    """Return every traffic check as inconclusive, for a trial without traffic."""
    routes = Check(NAME, "not measured", points(ROUTE_LIMIT), "none", RULE, "inconclusive", why)
    return [*skipped_rules(keys, why), routes]


def why_incomparable(samples: Samples, intervals: Sequence[Interval], keys: VerdictKeys) -> str:
    """Return why even a longer trial cannot compare the tracks, and what to do; "" if it can."""
    lost = _Lost.of(samples)
    if lost.missing and lost.new and lost.share >= MISSING_SHARE:
        return (
            f"the canary never answers {lost.names}, but has {_names(lost.new)}, which stable does not have: a"
            " renamed route cannot be compared. Keep the label `route`, or check the canary yourself and use"
            " `promote --force`"
        )
    if routes := differing_buckets(intervals):
        return (
            f"the histogram buckets of {_names(routes)} differ between the canary and stable, so latency cannot be"
            " compared. Keep the buckets, or check the canary yourself and use `promote --force`"
        )
    whole = samples.stable.durations.sum(0)
    requests = samples.stable.route_totals
    if requests.sum() >= ROUTE_MINIMUM and not whole.sum() and not samples.canary.durations.sum():
        return (
            "the metrics have no histogram http_request_duration_seconds, so latency cannot be compared. Add it"
            " to the service (docs/reference/metrics.md)"
        )
    share = keys.canary_latency_percentile / 100
    slow = slow_over(quantile(whole, samples.bounds, share), keys)
    finite = np.where(np.isfinite(samples.bounds), samples.bounds, 0.0).max(-1)
    beyond = (whole[..., -1] >= route_minimum(share)) & (slow > finite)
    if requests[beyond].sum() > BEYOND_SHARE * max(1.0, requests.sum()):
        return (
            f"{slower_than(f'{keys.canary_latency_percentile}th percentile', keys)} of"
            f" {_names(_chosen(samples, beyond))} lies above the histogram's last bucket. Add larger buckets to the"
            " service, or lower canaryLatencyPercentile or canaryLatencyFloorMilliseconds"
        )
    return ""


def _worst(samples: Samples, keys: VerdictKeys, chance: float) -> tuple[str, str, int]:
    """Return the worst route and its shares, why it is unhealthy ("" if it is not), and how many routes were judged."""
    blocks = samples.blocks(BLOCKS)
    kinds: Sequence[tuple[str, Callable[[Samples], Pairs]]] = (
        ("refused or failed", failures_by_route),
        (f"slower than {slower_than('median', keys)}", slower(0.5, keys)),
    )
    enough = np.minimum(samples.canary.route_totals, samples.stable.route_totals) >= ROUTE_MINIMUM
    compared: list[tuple[Route, str, Comparison]] = []
    for what, pairs in kinds:
        parts = pairs(blocks)
        for index in _positions(enough & (parts.canary.sum(0) > 0) & (parts.stable.sum(0) > 0)):
            compared.append((samples.routes[index], what, compare(parts.map(partial(_column, index)))))
    if not compared:
        return "nothing to compare", "", 0
    chance = chance / len(compared)
    route, what, measured = max(compared, key=lambda each: (each[2].lower_bound(chance), each[2].difference))
    judged = len({route for route, _, _ in compared})
    shares = f"{_names([route])}: {percent(measured.canary_hits, measured.canary)} of the canary's requests are {what}"
    worst = f"{_names([route])} {percent(measured.canary_hits, measured.canary)}"
    worst += f", stable {percent(measured.stable_hits, measured.stable)}"
    if measured.lower_bound(chance) > ROUTE_LIMIT:
        allowed = percent(measured.stable_hits + ROUTE_LIMIT * measured.stable, measured.stable)
        return worst, f"{shares}, where {allowed} may be", judged
    return worst, "", judged


def _check(value: str, samples: Samples, result: Result, reason: str, judged: int) -> Check:
    requests = f"{judged} of {len(samples.routes)} routes have {ROUTE_MINIMUM} requests at each"
    return Check(NAME, value, points(ROUTE_LIMIT), requests, RULE, result, reason)


def _column(index: int, part: Array) -> Array:
    return part[..., index : index + 1]


def _positions(mask: Any) -> list[int]:
    return [int(index) for index in np.flatnonzero(mask)]


def _chosen(samples: Samples, mask: Any) -> list[Route]:
    return [samples.routes[index] for index in _positions(mask)]


def _names(routes: Sequence[Route]) -> str:
    shown = ", ".join(" ".join(route) for route in routes[:3])
    return f"{shown} and {len(routes) - 3} more" if len(routes) > 3 else shown
