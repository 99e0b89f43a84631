"""The charts of a trial as points in a drawing of fixed size, which the template writes as inline SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Size of a drawing in its own units, and of the margins for labels.
WIDTH, HEIGHT = 320.0, 120.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 8.0, 10.0, 20.0
#: A range is drawn up to this many times what matters: the limit, the differences and the last range.
ROOM = 1.3


@dataclass(frozen=True)
class Scale:
    """Places values of ``low`` to ``high`` on an axis from pixel ``start`` to ``end``; others at its ends."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the place of a value, to a tenth."""
        part = (min(max(value, self.low), self.high) - self.low) / ((self.high - self.low) or 1.0)
        return round(self.start + part * (self.end - self.start), 1)


@dataclass(frozen=True)
class Line:
    """A track's values over time; ``parts`` are SVG points, broken where a look has no value."""

    track: str
    parts: Sequence[str]
    last: float | None
    end: tuple[float, float] | None = None


@dataclass(frozen=True)
class TrackChart:
    """One figure of both tracks over time."""

    title: str
    unit: str
    top: float
    seconds: float
    lines: Sequence[Line]
    ticks: Sequence[tuple[float, float]]
    """Values on the vertical axis, each with its place."""


@dataclass(frozen=True)
class RangeChart:
    """A check's difference with its range over time, in percentage points, and its ``limit``."""

    band: str
    line: str
    limit: float
    limit_y: float
    zero_y: float
    ticks: Sequence[tuple[float, float]]
    seconds: float


def track_charts(trial: Mapping[str, Any]) -> list[TrackChart]:
    """Return requests, errors and latency of both tracks over the trial; none before its second look."""
    looks: Sequence[Mapping[str, Any]] = trial["looks"]
    if len(looks) < 2:
        return []
    figures = (
        ("Requests per look", "", "requests", 1.0),
        ("Errors (5xx)", "%", "error_percent", 1.0),
        ("Median latency", "ms", "median", 1.0),
        ("90th percentile", "ms", "tail", 1.0),
    )
    return [_track_chart(title, unit, name, least, looks, trial["planned"]) for title, unit, name, least in figures]


def _track_chart(
    title: str, unit: str, name: str, least: float, looks: Sequence[Mapping[str, Any]], planned: float
) -> TrackChart:
    tracks = ("stable", "canary")
    values = {track: [look[track][name] for look in looks] for track in tracks}
    seconds = max(planned, looks[-1]["seconds"])
    known = [value for each in values.values() for value in each if value is not None]
    top = nice(max([least, *known]))
    across, up = _axes(seconds, 0.0, top)
    lines: list[Line] = []
    for track in tracks:
        places = [
            None if value is None else (across(look["seconds"]), up(value))
            for look, value in zip(looks, values[track], strict=True)
        ]
        last = next((value for value in reversed(values[track]) if value is not None), None)
        end = next((place for place in reversed(places) if place is not None), None)
        lines.append(Line(track, _parts(places), last, end))
    return TrackChart(title, unit, top, seconds, lines, [(value, up(value)) for value in (0.0, top / 2, top)])


def range_chart(check: Mapping[str, Any], planned: float) -> RangeChart | None:
    """Return the chart of a check; None if it has no range at two looks."""
    ranges = [each for each in check["estimates"] if each["lower"] is not None and each["upper"] is not None]
    if len(ranges) < 2:
        return None
    last, limit = ranges[-1], 100 * ranges[-1]["limit"]
    differences = [100 * each["difference"] for each in ranges]
    matter = [0.0, limit, *differences, 100 * last["lower"], 100 * last["upper"]]
    reach = max(max(matter) - min(matter), 0.1)
    low, high = min(matter) - (ROOM - 1) * reach, max(matter) + (ROOM - 1) * reach
    seconds = max(planned, last["seconds"])
    across, up = _axes(seconds, low, high)
    upper = [(across(each["seconds"]), up(100 * each["upper"])) for each in ranges]
    lower = [(across(each["seconds"]), up(100 * each["lower"])) for each in ranges]
    middle = [(across(each["seconds"]), up(value)) for each, value in zip(ranges, differences, strict=True)]
    ticks = [(low, up(low)), (high, up(high))]
    return RangeChart(_points([*upper, *lower[::-1]]), _points(middle), limit, up(limit), up(0.0), ticks, seconds)


def _axes(seconds: float, low: float, high: float) -> tuple[Scale, Scale]:
    return Scale(0.0, seconds, LEFT, WIDTH - RIGHT), Scale(low, high, HEIGHT - BOTTOM, TOP)


def _parts(places: Sequence[tuple[float, float] | None]) -> list[str]:
    parts: list[list[tuple[float, float]]] = [[]]
    for place in places:
        if place is None:
            parts.append([])
        else:
            parts[-1].append(place)
    return [_points(part) for part in parts if part]


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in places)


def nice(value: float) -> float:
    """Return the first of 1, 2, 5, 10, 20, … that is not below the value."""
    step = 1.0
    while step < value:
        step *= 2.5 if f"{step:g}"[0] == "2" else 2.0
    return step
