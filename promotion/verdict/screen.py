"""A trial on one screen of the terminal while it runs, or as lines where there is no terminal."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from promotion.verdict.observation import Observation, TrackSeen
from promotion.verdict.result import Check, Estimate
from promotion.verdict.table import MARKS, clock
from promotion.verdict.traffic import points

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

Observer = Callable[[Observation], None]

#: Times a second that the time left is drawn again.
REFRESH_RATE = 2
#: Characters of a range.
RANGE_WIDTH = 31
#: Share of requests at both ends of a range without a limit above zero; otherwise so many times the limit.
WIDEST, LIMITS_WIDE = 0.25, 2.5
#: Digits of a digest that tell images apart.
DIGITS = 12
COLOURS = {"healthy": "green", "unhealthy": "red", "inconclusive": "yellow"}


def has_screen(out: TextIO, environment: Mapping[str, str]) -> bool:
    """Return whether ``out`` is a terminal whose user wants more than lines."""
    wants_lines = environment.get("CI") or environment.get("NO_COLOR") or environment.get("TERM", "dumb") == "dumb"
    return not wants_lines and out.isatty() and (out.encoding or "").lower().startswith("utf")


@contextmanager
def watching(out: TextIO, only_lines: bool = False) -> Generator[Observer]:
    """Provide what shows a trial's observations on ``out``. The screen is gone when the trial ends, however it does."""
    if only_lines or not has_screen(out, os.environ):
        yield lambda seen: print(seen.line, file=out, flush=True)
        return
    from rich.console import Console  # only a terminal needs it
    from rich.live import Live

    shown = Screen()
    console = Console(file=out, highlight=False)
    with Live(get_renderable=shown.picture, console=console, refresh_per_second=REFRESH_RATE, transient=True) as live:

        def observe(seen: Observation) -> None:
            shown.update(seen)
            live.refresh()

        yield observe


class Screen:
    """The latest observation as a picture. The time runs on between two looks."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._seen: Observation | None = None
        self._since = now()

    def update(self, seen: Observation) -> None:
        """Show another observation."""
        self._seen, self._since = seen, self._now()

    def picture(self) -> RenderableType:
        """Return what to draw now."""
        from rich.console import Group
        from rich.text import Text

        if self._seen is None:
            return Text("looking at the canary")
        parts = [self._heading(self._seen), Text(), _tracks(self._seen), *_troubles(self._seen), Text()]
        latest = Text(self._seen.line, style="dim", no_wrap=True, overflow="ellipsis")
        return Group(*parts, _checks(self._seen), Text(), latest)

    def _heading(self, seen: Observation) -> Text:
        from rich.text import Text

        digest = seen.tracks["canary"].image.rpartition("sha256:")[2][:DIGITS]
        heading = Text.assemble(("Trial of the canary ", "bold"), digest, "   ")
        if seen.phase != "watching":
            return heading.append(seen.phase)
        over = int(min(seen.planned, seen.seconds + self._now() - self._since))
        return heading.append(f"{clock(over)} of {clock(seen.planned)}, {clock(seen.planned - over)} left")


def _tracks(seen: Observation) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("", "PODS", "READY"):
        table.add_column(title)
    for title in ("REQUESTS", "ERRORS", "MEDIAN", "90TH PERCENTILE"):
        table.add_column(title, justify="right")
    for name, track in seen.tracks.items():
        table.add_row(name, _pods(track), f"{sum(pod.ready for pod in track.pods)} of {track.wanted}", *_figures(track))
    return table


def _pods(track: TrackSeen) -> Text:
    """Draw a square for each pod, full if it is ready, and one in outline for each that is missing."""
    from rich.text import Text

    squares = Text()
    for pod in track.pods:
        squares.append("■ " if pod.ready else "□ ", "green" if pod.ready else "red")
    return squares.append("□ " * max(0, track.wanted - len(track.pods)), "dim")


def _troubles(seen: Observation) -> list[Text]:
    """Return a line for each pod that is not ready and says why."""
    from rich.text import Text

    pods = [pod for track in seen.tracks.values() for pod in track.pods if pod.trouble and not pod.ready]
    return [Text(f"{pod.name}: {pod.trouble}", "red") for pod in pods]


def _figures(track: TrackSeen) -> list[str]:
    """Return the figures of the last interval; dashes without requests."""
    if not track.requests:
        return ["-"] * 4
    times = (f"{each:.1f} ms" if each is not None else "-" for each in (track.median, track.tail))
    return [f"{track.requests:.0f}", f"{track.error_percent or 0:.1f} %", *times]


def _checks(seen: Observation) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("", "CHECK", "RANGE OF THE DIFFERENCE", "", "LIMIT"):
        table.add_column(title, no_wrap=title == "RANGE OF THE DIFFERENCE")
    for check in seen.checks:
        mark = "·" if check.result == "inconclusive" else MARKS[check.result]
        # As plain text: a command or a route may have brackets, which a string's markup would interpret.
        cells = (
            each if isinstance(each, Text) else Text(each) for each in (check.name, *_measured(check), check.limit)
        )
        table.add_row(mark, *cells, style=_style(check))
    return table


def _style(check: Check) -> str:
    return COLOURS[check.result] if check.result != "inconclusive" else ""


def _measured(check: Check) -> tuple[Text | str, str]:
    """Return the range as a picture and in figures; only the value if there is no range."""
    if check.estimate is None:
        return "", check.value
    if check.estimate.lower is None or check.estimate.upper is None:
        return "", f"{points(check.estimate.difference)}, range not known yet"
    lower = points(check.estimate.lower).removesuffix(" points")
    return range_picture(check.estimate), f"{lower} to {points(check.estimate.upper)}"


def range_picture(estimate: Estimate) -> Text:
    """Draw the range ━━●━━ and the limit │ on a scale that never changes, so that the range narrows."""
    from rich.text import Text

    end = LIMITS_WIDE * estimate.limit or WIDEST

    def place(share: float) -> int:
        return round((min(max(share, -end), end) / end + 1) / 2 * (RANGE_WIDTH - 1))

    lower = -end if estimate.lower is None else estimate.lower
    upper = end if estimate.upper is None else estimate.upper
    cells = ["·"] * RANGE_WIDTH
    cells[place(lower) : place(upper) + 1] = "━" * (place(upper) - place(lower) + 1)
    cells[place(estimate.difference)] = "●"
    cells[0] = "◀" if lower < -end else cells[0]
    cells[-1] = "▶" if upper > end else cells[-1]
    cells[place(estimate.limit)] = "│"
    colour = "green" if upper < estimate.limit else "red" if lower > estimate.limit else "yellow"
    picture = Text("".join(cells), style="dim")
    picture.stylize(f"not dim {colour}", place(lower), place(upper) + 1)
    picture.stylize("not dim bold white", place(estimate.limit), place(estimate.limit) + 1)
    return picture
