"""A verdict for people: a line at each look, a chart of both tracks, and the table of checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from promotion.state.timestamp import utc_stamp
from promotion.verdict.comparison import Interval, quantile
from promotion.verdict.metrics import Counters, total
from promotion.verdict.result import Check, Verdict
from promotion.verdict.traffic import SERVER_ERRORS, STATISTICS

MARKS = {"healthy": "✓", "unhealthy": "✗", "inconclusive": "?"}
COLUMNS = ("", "CHECK", "VALUE", "LIMIT", "SAMPLES")
BAR = 32
MEDIAN, TAIL = 0.5, 0.9


def verdict_text(verdict: Verdict) -> str:
    """The whole verdict: chart, table, and the reasons for it."""
    seconds = (verdict.ended - verdict.began).total_seconds()
    lines = [
        *([verdict.chart, ""] if verdict.chart else []),
        *_table(verdict.checks),
        "",
        *(_wrapped(STATISTICS)),
        "",
        f"{verdict.result.upper()}  {verdict.digest}",
        f"{utc_stamp(verdict.began)} to {utc_stamp(verdict.ended)} ({seconds:.0f} s)",
        *(f"  - {reason}" for reason in verdict.reasons),
    ]
    return "\n".join(lines)


def progress(seconds: float, planned: float, added: Interval) -> str:
    """What happened in the interval that ended now."""
    return f"{_clock(seconds)} of {_clock(planned)}   canary {_short(added.canary)}   stable {_short(added.stable)}"


def chart(intervals: Sequence[Interval]) -> str:
    """Both tracks over the whole trial, as bars; empty without requests."""
    tracks = {
        "stable": total(interval.stable for interval in intervals),
        "canary": total(interval.canary for interval in intervals),
    }
    if not all(each.total for each in tracks.values()):
        return ""
    lines = _bars("errors (5xx)", {name: _error_percent(each) for name, each in tracks.items()}, "%")
    for share, title in ((MEDIAN, "median"), (TAIL, "90th percentile")):
        times = {name: _milliseconds(each, share) for name, each in tracks.items()}
        lines += _bars(title, times, "ms")
    return "\n".join(lines)


def _bars(title: str, values: Mapping[str, float], unit: str) -> list[str]:
    most = max(values.values()) or 1.0
    return [
        f"{title if name == 'stable' else '':<16} {name}  {'█' * round(BAR * value / most):<{BAR}} {value:.1f} {unit}"
        for name, value in values.items()
    ]


def _table(checks: Sequence[Check]) -> list[str]:
    """A row for each check, and under it what the value is."""
    rows = [COLUMNS, *((MARKS[c.result], c.name, c.value, c.limit, c.samples) for c in checks)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    shown = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    rules = [f"{'':<{widths[0] + widths[1] + 4}}{check.rule}" for check in checks]
    return [shown[0], *(line for pair in zip(shown[1:], rules, strict=True) for line in pair)]


def _wrapped(text: str) -> list[str]:
    from textwrap import wrap

    return wrap(text, 110)


def _short(counters: Counters) -> str:
    if not counters.total:
        return "no requests"
    return (
        f"{counters.total:5.0f} requests, {_error_percent(counters):4.1f} % errors,"
        f" median {_milliseconds(counters, MEDIAN):.1f} ms"
    )


def _error_percent(counters: Counters) -> float:
    errors = counters.answered(counters.by_route, SERVER_ERRORS)
    return 100 * errors / counters.total if counters.total else 0.0


def _milliseconds(counters: Counters, share: float) -> float:
    """Of all routes together: for looking at, not for judging."""
    buckets: dict[float, float] = {}
    for route in counters.durations.values():
        for bound, count in route.items():
            buckets[bound] = buckets.get(bound, 0) + count
    return 1000 * (quantile(buckets, share) or 0.0)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
