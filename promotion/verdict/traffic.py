"""What users see: errors, refusals and latency of the canary, compared with stable's at the same time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from contract.settings import VerdictKeys
from promotion.verdict.comparison import (
    FALSE_ALARM,
    FALSE_PASS,
    MIN_INTERVALS,
    Comparison,
    Pairs,
    chance_at,
    compare,
)
from promotion.verdict.result import Check, Estimate, Result
from promotion.verdict.samples import ERROR, REFUSED, Array, Requests, Samples, count_over, quantile

#: Requests that a route needs at stable before its median is known; for a tail of share s it is 2 / s.
ROUTE_MINIMUM = 20
#: How much larger the canary's share of refused or failed requests may be, over all routes. Wide, because a few users
#: on kept-alive connections, who stay with their pod, may send all the odd requests.
FAILURE_LIMIT = 0.10
#: Comparisons of requests that share the chance of a false alarm: those of `rules` and that of the routes (routes.py).
COMPARISONS = 5
ENDED_EARLY = "the trial ended before there was enough data"


@dataclass(frozen=True)
class TrafficRule:
    """``limit`` is how much larger the canary's share may be than stable's (0 to 1).

    ``minimum`` is the number of requests that each track needs, ``what`` what is said of the requests that count.
    """

    name: str
    what: str
    limit: float
    minimum: int
    rule: str
    pairs: Callable[[Samples], Pairs]

    @property
    def is_latency(self) -> bool:
        """Whether the rule judges latency, which a slow node increases as well as a slow image."""
        return "latency" in self.name


def errors(samples: Samples) -> Pairs:
    """Pair up, by route, the requests that were answered 5xx.

    The canary's requests on routes that stable does not serve are compared with all of stable's.
    """
    canary, stable = samples.canary, samples.stable
    known = (stable.route_totals > 0)[..., None, :]
    own, failed = canary.by_route, canary.answers[..., ERROR]
    columns = (
        (np.where(known, own, 0.0), np.where(known, 0.0, own)),
        (np.where(known, failed, 0.0), np.where(known, 0.0, failed)),
        (stable.by_route, stable.by_route),
        (stable.answers[..., ERROR], stable.answers[..., ERROR]),
    )
    return Pairs(*(np.concatenate([kept, other.sum(-1, keepdims=True)], -1) for kept, other in columns))


def failures(samples: Samples) -> Pairs:
    """Pair up all requests answered 4xx or 5xx. Routes do not matter: a lost route's requests appear under another."""
    return failures_by_route(samples).map(lambda part: part.sum(-1, keepdims=True))


def failures_by_route(samples: Samples) -> Pairs:
    """Pair up, by route, the requests answered 4xx or 5xx."""
    tracks = (samples.canary, samples.stable)
    return Pairs(*(part for each in tracks for part in (each.by_route, each.answers[..., [REFUSED, ERROR]].sum(-1))))


def slower(share: float, keys: VerdictKeys) -> Callable[[Samples], Pairs]:
    """Pair up, by route, the canary's requests over a multiple of a time with stable's over the time itself.

    The time is what ``share`` of stable's requests stay under. A canary slower by exactly the service's factor has the
    same share, whatever the distribution; one that is slower still has a larger one.
    """
    minimum = route_minimum(share)

    def pairs(samples: Samples) -> Pairs:
        canary, stable = samples.canary.durations, samples.stable.durations
        whole = stable.sum(-3)
        time = quantile(whole, samples.bounds, share)
        limit = slow_over(time, keys)
        slow = count_over(canary, samples.bounds, limit)
        usual = count_over(stable, samples.bounds, time)
        # Below the floor, how stable's requests spread around the time says nothing of the canary's above the floor.
        below = limit > float(keys.canary_latency_factor) * time
        usual = np.where(below[..., None, :], (1 - share) * stable[..., -1], usual)
        judged = (whole[..., -1] >= minimum) & np.isfinite(slow).all(-2) & np.isfinite(usual).all(-2)
        return Pairs(canary[..., -1], slow, stable[..., -1], usual).where(judged)

    return pairs


def slow_over(time: Array, keys: VerdictKeys) -> Array:
    """Return, by route, the seconds over which a canary's request is slow; ``time`` is stable's."""
    return np.maximum(float(keys.canary_latency_factor) * time, keys.canary_latency_floor_milliseconds / 1000)


def slower_than(what: str, keys: VerdictKeys) -> str:
    """Say over which time a canary's request is slow; ``what`` names stable's time."""
    floor = keys.canary_latency_floor_milliseconds
    return f"{float(keys.canary_latency_factor):g} times stable's {what}{f' (at least {floor} ms)' if floor else ''}"


def route_minimum(share: float) -> float:
    """Return how many requests a route needs at stable before the quantile at ``share`` of their times is known."""
    return max(ROUTE_MINIMUM, 2 / (1 - share))


def rules(keys: VerdictKeys) -> Sequence[TrafficRule]:
    """Return the rules with the service's limits."""
    error_limit = keys.canary_error_limit / 1000
    tail = keys.canary_latency_percentile / 100

    def latency(name: str, share: float, what: str) -> TrafficRule:
        return TrafficRule(
            name,
            f"slower than {slower_than(what, keys)}",
            limit=0.0,
            minimum=max(100, round(5 / (1 - share))),
            rule=f"share over {slower_than(what, keys)}, minus stable's share over it",
            pairs=slower(share, keys),
        )

    return (
        TrafficRule(
            "errors",
            "answered with an error",
            limit=error_limit,
            minimum=max(100, math.ceil(3 / error_limit)),  # none in 3 / limit: fewer fail, 95 % certain (rule of three)
            rule="share of requests answered 5xx, canary minus stable",
            pairs=errors,
        ),
        TrafficRule(
            "refusals",
            "refused or failed",
            limit=FAILURE_LIMIT,
            minimum=100,
            rule="share of all requests answered 4xx or 5xx, canary minus stable",
            pairs=failures,
        ),
        latency("median latency", 0.5, "median"),
        latency("tail latency", tail, f"{keys.canary_latency_percentile}th percentile"),
    )


STATISTICS = (
    f"Traffic checks: healthy if the difference is below its limit ({1 - FALSE_PASS:.0%} certain), unhealthy if it is"
    f" above ({1 - FALSE_ALARM:.0%} certain over all looks and checks), otherwise inconclusive. Differences are taken"
    " by route and interval and averaged with Mantel-Haenszel weights; the scatter between them gives the certainty"
    " (Student's t, with fewer degrees of freedom if neighbours resemble each other)."
)


def traffic_checks(
    samples: Samples, pods: Mapping[str, Requests], keys: VerdictKeys, look: int, looks: int
) -> list[Check]:
    """Judge by every rule after ``look`` of ``looks`` looks; before the last look nothing is healthy yet.

    ``pods`` are the canary's requests by pod.
    """
    chance = chance_at(look, looks, comparisons(keys))
    return [_check(rule, samples, pods, chance, final=look >= looks) for rule in rules(keys)]


def comparisons(keys: VerdictKeys) -> int:
    """Return how many comparisons share the chance of a false alarm, the service's own checks included."""
    return COMPARISONS + len(keys.checks)


def skipped_rules(keys: VerdictKeys, why: str) -> list[Check]:
    """Return the check of each rule as inconclusive, for a trial without traffic."""
    return [
        Check(each.name, "not measured", points(each.limit), "none", each.rule, "inconclusive", why)
        for each in rules(keys)
    ]


def decide(rule: TrafficRule, measured: Comparison, chance: float, final: bool) -> Any:
    """Return 1 where the rule finds the canary unhealthy, 0 where healthy, and -1 where inconclusive."""
    enough = (np.minimum(measured.canary, measured.stable) >= rule.minimum) & (measured.intervals >= MIN_INTERVALS)
    healthy = enough & (measured.upper_bound() < rule.limit) & final
    return np.where(measured.lower_bound(chance) > rule.limit, 1, np.where(healthy, 0, -1))


def within_limit_without(rule: TrafficRule, samples: Samples, pod: Requests) -> Any:
    """Return whether the canary's share without one of its pods is within the limit, however certain that is."""
    rest = compare(rule.pairs(samples.without(pod)))
    return (rest.difference <= rule.limit) & (rest.canary > 0)


def bad_pods(samples: Samples, pods: Mapping[str, Requests], keys: VerdictKeys) -> list[str]:
    """Return a sentence for each pod of the canary that is over a limit while its siblings are not."""
    notes: list[str] = []
    for pod, requests in pods.items() if len(pods) > 1 else ():
        for rule in rules(keys):
            own = compare(rule.pairs(samples.with_canary(requests)))
            if own.lower_bound(FALSE_PASS / len(pods)) > rule.limit and within_limit_without(rule, samples, requests):
                share = percent(own.canary_hits, own.canary)
                notes.append(f"pod {pod} differs from its siblings: {share} of its requests are {rule.what}")
    return notes


def _check(rule: TrafficRule, samples: Samples, pods: Mapping[str, Requests], chance: float, final: bool) -> Check:
    measured = compare(rule.pairs(samples))
    result, reason = _result(rule, measured, chance, final)
    if result == "unhealthy" and len(pods) > 1:
        culprit = next((pod for pod in pods if within_limit_without(rule, samples, pods[pod])), "")
        if culprit and rule.is_latency:
            result = "inconclusive"
            reason += f", but only with pod {culprit}: its node may be slow. Delete the pod and judge again"
        elif culprit:
            reason += f"; pod {culprit} alone causes it"
    return Check(
        name=rule.name,
        value=f"{percent(measured.canary_hits, measured.canary)},"
        f" stable {percent(measured.stable_hits, measured.stable)} ({points(measured.difference)})"
        if measured.intervals
        else "nothing to compare",
        limit=points(rule.limit),
        samples=f"{measured.canary:.0f} canary, {measured.stable:.0f} stable, {measured.intervals} intervals",
        rule=rule.rule,
        result=result,
        reason=reason,
        estimate=estimate(measured, chance, rule.limit),
    )


def estimate(measured: Comparison, chance: float, limit: float) -> Estimate | None:
    """Return the difference with the range that decides at this look; None if there is nothing to compare."""
    if not measured.intervals:
        return None
    bounds = float(measured.lower_bound(chance)), float(measured.upper_bound())
    lower, upper = (bound if math.isfinite(bound) else None for bound in bounds)
    return Estimate(float(measured.difference), lower, upper, limit)


def _result(rule: TrafficRule, measured: Comparison, chance: float, final: bool) -> tuple[Result, str]:
    shares = f"{percent(measured.canary_hits, measured.canary)} of the canary's requests are {rule.what}, where"
    shares += f" {percent(measured.stable_hits + rule.limit * measured.stable, measured.stable)} may be"
    decision = decide(rule, measured, chance, final)
    if decision == 0:
        return "healthy", ""
    if decision == 1:
        return "unhealthy", f"{shares} ({percent(measured.lower_bound(chance) - rule.limit, 1)} too many, at least)"
    if not final:
        return "inconclusive", ENDED_EARLY
    if min(measured.canary, measured.stable) < rule.minimum or measured.intervals < MIN_INTERVALS:
        return "inconclusive", (
            f"too few requests to compare: {measured.canary:.0f} at the canary and {measured.stable:.0f} at stable in"
            f" {measured.intervals} intervals; {rule.minimum} at each and {MIN_INTERVALS} intervals are needed. Run a"
            " longer trial (--for), or give the canary more users"
        )
    return "inconclusive", (
        f"{shares}: the difference is between {points(measured.lower_bound(FALSE_PASS))} and"
        f" {points(measured.upper_bound())}, too wide a range to tell whether it is below {points(rule.limit)}. A"
        " longer trial (--for) narrows it"
    )


def percent(hits: float, requests: float) -> str:
    """Format a share of requests in percent."""
    return f"{100 * hits / requests:.1f} %" if requests else "none"


def points(share: float) -> str:
    """Format a difference of two shares in percentage points."""
    return f"{100 * share:+.1f} points" if math.isfinite(share) else "any number of points"
