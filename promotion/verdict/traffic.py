"""What users meet: errors, refusals and latency of the canary, held against stable's in the same time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

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

SERVER_ERRORS = range(500, 600)
REFUSALS = range(400, 500)
#: Requests a route needs at stable before it is said what is usual there.
ROUTE_LEAST = 20
#: How much slower than usual is no fault yet: other nodes, colder caches and buckets' bounds make as much.
TIMES = 2.0
ENDED_EARLY = "the trial ended before it could tell"


@dataclass(frozen=True)
class Question:
    """``limit`` is how much larger the canary's share may be than stable's (0 to 1); ``least`` requests a track."""

    name: str
    what: str
    limit: float
    least: int
    rule: str
    pairs: Callable[[Sequence[Interval]], list[list[Pair]]]


def _slower_than(share: float) -> Callable[[Sequence[Interval]], list[list[Pair]]]:
    return lambda intervals: slower(intervals, bounds(intervals, share, TIMES, ROUTE_LEAST))


#: 300 requests without an error say that fewer than 1 % fail (95 % sure, the rule of three).
QUESTIONS: Sequence[Question] = (
    Question(
        "errors",
        "answered with an error",
        limit=0.01,
        least=300,
        rule="share of requests answered 5xx, canary less stable",
        pairs=lambda intervals: answered(intervals, SERVER_ERRORS, new_routes=True),
    ),
    Question(
        "refusals",
        "refused",
        limit=0.10,
        least=100,
        rule="share of requests answered 4xx on routes that both serve, canary less stable",
        pairs=lambda intervals: answered(intervals, REFUSALS, new_routes=False),
    ),
    Question(
        "median latency",
        f"slower than {TIMES:g} times stable's median",
        limit=0.10,
        least=100,
        rule=f"share of requests over {TIMES:g} times the median (rounded up to buckets) of stable on their route",
        pairs=_slower_than(0.5),
    ),
    Question(
        "tail latency",
        f"slower than {TIMES:g} times stable's 90th percentile",
        limit=0.10,
        least=100,
        rule=f"share of requests over {TIMES:g} times the 90th percentile (rounded up) of stable on their route",
        pairs=_slower_than(0.9),
    ),
)

STATISTICS = (
    f"Traffic checks: healthy where the difference is below its limit ({1 - FALSE_PASS:.0%} sure), unhealthy where it"
    f" is above ({1 - FALSE_ALARM:.0%} sure over all looks and checks), else inconclusive. Compared by route and"
    " interval, averaged with Mantel-Haenszel weights; sureness from the scatter between intervals (Student's t)."
)


def traffic_checks(intervals: Sequence[Interval], look: int, looks: int) -> list[Check]:
    """Every question's answer after ``look`` of ``looks`` looks; before the last one nothing is healthy yet."""
    return [_check(question, compare(question.pairs(intervals)), look, looks) for question in QUESTIONS]


def not_tried(why: str) -> list[Check]:
    """The same checks where there is nothing to answer them with."""
    return [
        Check(each.name, "not tried", _points(each.limit), "none", each.rule, "inconclusive", why) for each in QUESTIONS
    ]


def _check(question: Question, found: Comparison, look: int, looks: int) -> Check:
    result, reason = _decide(question, found, chance_at(look, looks, len(QUESTIONS)), final=look >= looks)
    return Check(
        name=question.name,
        value=f"{_percent(found.canary_hits, found.canary)}, stable {_percent(found.stable_hits, found.stable)}"
        f" ({_points(found.difference)})"
        if found.intervals
        else "nothing to compare",
        limit=_points(question.limit),
        samples=f"{found.canary:.0f} canary, {found.stable:.0f} stable, {found.intervals} intervals",
        rule=question.rule,
        result=result,
        reason=reason,
    )


def _decide(question: Question, found: Comparison, chance: float, final: bool) -> tuple[Result, str]:
    shares = f"{_percent(found.canary_hits, found.canary)} of the canary's requests are {question.what},"
    shares += f" {_percent(found.stable_hits, found.stable)} of stable's"
    least = found.at_least(chance)
    if least > question.limit:
        return "unhealthy", f"{shares}: at least {_points(least)}, where {_points(question.limit)} is allowed"
    if not final:
        return "inconclusive", ENDED_EARLY
    if min(found.canary, found.stable) < question.least or found.intervals < MIN_INTERVALS:
        return "inconclusive", (
            f"too few requests to compare: {found.canary:.0f} at the canary and {found.stable:.0f} at stable in"
            f" {found.intervals} intervals, where {question.least} at each and {MIN_INTERVALS} intervals are needed;"
            " try longer (--for), or give the canary more users"
        )
    most = found.at_most()
    if most < question.limit:
        return "healthy", ""
    return "inconclusive", (
        f"{shares}: the difference is between {_points(found.at_least(FALSE_PASS))} and {_points(most)}, too"
        f" wide a range to say that it is within {_points(question.limit)}; a longer trial (--for) narrows it"
    )


def _percent(hits: float, requests: float) -> str:
    return f"{100 * hits / requests:.1f} %" if requests else "none"


def _points(share: float) -> str:
    """A difference of two shares, in percentage points."""
    return f"{100 * share:+.1f} points" if math.isfinite(share) else "any number of points"
