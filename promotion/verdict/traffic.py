"""What users see: errors, refusals and latency of the canary, compared with stable's at the same time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from promotion.state.cluster.metrics import SERVER_ERRORS
from promotion.verdict.comparison import (
    FALSE_ALARM,
    FALSE_PASS,
    MIN_INTERVALS,
    Comparison,
    Interval,
    Pair,
    answered,
    bounds,
    chance_at,
    compare,
    slower,
)
from promotion.verdict.result import Check, Result

REFUSALS = range(400, 500)
#: Requests that a route needs at stable before its usual time is known.
ROUTE_MINIMUM = 20
#: Slower by this factor is no failure yet: other nodes, cold caches and the width of buckets cause as much.
TIMES = 2.0
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
    pairs: Callable[[Sequence[Interval]], list[list[Pair]]]


def _slower_than(share: float) -> Callable[[Sequence[Interval]], list[list[Pair]]]:
    return lambda intervals: slower(intervals, bounds(intervals, share, TIMES, ROUTE_MINIMUM))


#: 300 requests without an error mean that fewer than 1 % fail (95 % certain, the rule of three).
RULES: Sequence[TrafficRule] = (
    TrafficRule(
        "errors",
        "answered with an error",
        limit=0.01,
        minimum=300,
        rule="share of requests answered 5xx, canary less stable",
        pairs=lambda intervals: answered(intervals, SERVER_ERRORS, new_routes=True),
    ),
    TrafficRule(
        "refusals",
        "refused",
        limit=0.10,
        minimum=100,
        rule="share of requests answered 4xx on routes that both serve, canary less stable",
        pairs=lambda intervals: answered(intervals, REFUSALS, new_routes=False),
    ),
    TrafficRule(
        "median latency",
        f"slower than {TIMES:g} times stable's median",
        limit=0.10,
        minimum=100,
        rule=f"share of requests over {TIMES:g} times the median (rounded up to buckets) of stable on their route",
        pairs=_slower_than(0.5),
    ),
    TrafficRule(
        "tail latency",
        f"slower than {TIMES:g} times stable's 90th percentile",
        limit=0.10,
        minimum=100,
        rule=f"share of requests over {TIMES:g} times the 90th percentile (rounded up) of stable on their route",
        pairs=_slower_than(0.9),
    ),
)

STATISTICS = (
    f"Traffic checks: healthy if the difference is below its limit ({1 - FALSE_PASS:.0%} certain), unhealthy if it is"
    f" above ({1 - FALSE_ALARM:.0%} certain over all looks and checks), otherwise inconclusive. Differences are taken"
    " by route and interval and averaged with Mantel-Haenszel weights; the scatter between them gives the certainty"
    " (Student's t)."
)


def traffic_checks(intervals: Sequence[Interval], look: int, looks: int) -> list[Check]:
    """Judge by every rule after ``look`` of ``looks`` looks; before the last look nothing is healthy yet."""
    return [_check(rule, compare(rule.pairs(intervals)), look, looks) for rule in RULES]


def skipped_checks(why: str) -> list[Check]:
    """Return the same checks, inconclusive, for a trial without traffic."""
    return [
        Check(each.name, "not measured", _points(each.limit), "none", each.rule, "inconclusive", why) for each in RULES
    ]


def _check(rule: TrafficRule, measured: Comparison, look: int, looks: int) -> Check:
    result, reason = _decide(rule, measured, chance_at(look, looks, len(RULES)), final=look >= looks)
    return Check(
        name=rule.name,
        value=f"{_percent(measured.canary_hits, measured.canary)},"
        f" stable {_percent(measured.stable_hits, measured.stable)} ({_points(measured.difference)})"
        if measured.intervals
        else "nothing to compare",
        limit=_points(rule.limit),
        samples=f"{measured.canary:.0f} canary, {measured.stable:.0f} stable, {measured.intervals} intervals",
        rule=rule.rule,
        result=result,
        reason=reason,
    )


def _decide(rule: TrafficRule, measured: Comparison, chance: float, final: bool) -> tuple[Result, str]:
    shares = f"{_percent(measured.canary_hits, measured.canary)} of the canary's requests are {rule.what},"
    shares += f" {_percent(measured.stable_hits, measured.stable)} of stable's"
    lowest = measured.lower_bound(chance)
    if lowest > rule.limit:
        return "unhealthy", f"{shares}: at least {_points(lowest)}, where {_points(rule.limit)} is allowed"
    if not final:
        return "inconclusive", ENDED_EARLY
    if min(measured.canary, measured.stable) < rule.minimum or measured.intervals < MIN_INTERVALS:
        return "inconclusive", (
            f"too few requests to compare: {measured.canary:.0f} at the canary and {measured.stable:.0f} at stable in"
            f" {measured.intervals} intervals; {rule.minimum} at each and {MIN_INTERVALS} intervals are needed. Run a"
            " longer trial (--for), or give the canary more users"
        )
    highest = measured.upper_bound()
    if highest < rule.limit:
        return "healthy", ""
    return "inconclusive", (
        f"{shares}: the difference is between {_points(measured.lower_bound(FALSE_PASS))} and {_points(highest)}, too"
        f" wide a range to tell whether it is below {_points(rule.limit)}. A longer trial (--for) narrows it"
    )


def _percent(hits: float, requests: float) -> str:
    return f"{100 * hits / requests:.1f} %" if requests else "none"


def _points(share: float) -> str:
    """Format a difference of two shares in percentage points."""
    return f"{100 * share:+.1f} points" if math.isfinite(share) else "any number of points"
