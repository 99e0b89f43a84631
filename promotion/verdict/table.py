"""A verdict as text: a line for each look, a chart of both tracks, and the table of checks."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from contract.judging import SourceName
from promotion.state.cluster.counters import Counters, total
from promotion.state.verdict_record import utc_stamp
from promotion.verdict.observation import MEDIAN, TAIL
from promotion.verdict.result import Check, Verdict
from promotion.verdict.samples import Interval
from promotion.verdict.traffic import STATISTICS

#: What counted the users' requests, in words.
SOURCES: Mapping[SourceName, str] = {
    "gateway": "the gateway (Traefik's metrics of each track's Service)",
    "pods": "the pods (the service's own metrics)",
    "prometheus": "Prometheus (requestSelector)",
}
MARKS = {"healthy": "✓", "unhealthy": "✗", "inconclusive": "?"}
COLUMNS = ("", "CHECK", "VALUE", "LIMIT", "SAMPLES")
#: Characters of a full bar, and of a wrapped line.
BAR, WIDTH = 32, 110


def verdict_text(verdict: Verdict) -> str:
    """Return chart, table and reasons of the verdict."""
    seconds = (verdict.ended - verdict.began).total_seconds()
    lines = [
        *([verdict.chart, ""] if verdict.chart else []),
        *_table(verdict.checks),
        "",
        *textwrap.wrap(STATISTICS, WIDTH),
        "",
        f"{verdict.result.upper()}  {verdict.digest}",
        f"{utc_stamp(verdict.began)} to {utc_stamp(verdict.ended)} ({seconds:.0f} s)",
        *([f"requests counted by {SOURCES[verdict.source]}"] if verdict.source else []),
        *(f"  - {reason}" for reason in verdict.reasons),
        *(f"  note: {note}" for note in verdict.notes),
    ]
    return "\n".join(lines)


def progress(seconds: float, planned: float, latest: Interval) -> str:
    """Describe the interval that has just ended."""
    return f"{clock(seconds)} of {clock(planned)}   canary {_short(latest.canary)}   stable {_short(latest.stable)}"


def chart(intervals: Sequence[Interval]) -> str:
    """Draw both tracks over the whole trial as bars; "" if either has no requests."""
    tracks = {
        "stable": total(interval.stable for interval in intervals),
        "canary": total(interval.canary for interval in intervals),
    }
    if not all(each.total for each in tracks.values()):
        return ""
    lines = _bars("errors (5xx)", {name: each.error_percent or 0.0 for name, each in tracks.items()}, "%")
    for share, title in ((MEDIAN, "median"), (TAIL, "90th percentile")):
        lines += _bars(title, {name: each.milliseconds(share) or 0.0 for name, each in tracks.items()}, "ms")
    return "\n".join(lines)


def _bars(title: str, values: Mapping[str, float], unit: str) -> list[str]:
    top = max(values.values()) or 1.0
    return [
        f"{title if name == 'stable' else '':<16} {name}  {'█' * round(BAR * value / top):<{BAR}} {value:.1f} {unit}"
        for name, value in values.items()
    ]


def _table(checks: Sequence[Check]) -> list[str]:
    """Return a row for each check, followed by a line that says what its value means."""
    rows = [COLUMNS, *((MARKS[c.result], c.name, c.value, c.limit, c.samples) for c in checks)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    rules = [f"{'':<{widths[0] + widths[1] + 4}}{check.rule}" for check in checks]
    return [lines[0], *(line for pair in zip(lines[1:], rules, strict=True) for line in pair)]


def _short(counters: Counters) -> str:
    if not counters.total:
        return "no requests"
    return (
        f"{counters.total:5.0f} requests, {counters.error_percent or 0.0:4.1f} % errors,"
        f" median {counters.milliseconds(MEDIAN) or 0.0:.1f} ms"
    )


def clock(seconds: float) -> str:
    """Return minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
