"""The status as people read it."""

from __future__ import annotations

import textwrap
from datetime import datetime

from contract.image import short
from promotion.status.live import LiveTrack, Served
from promotion.status.status import Status

WIDTH = 110
COLUMNS = ("TRACK", "IMAGE", "REVISION", "READY", "USERS", "REQUESTS", "ERRORS", "MEDIAN", "P90")
#: Hex digits of a Git commit, as `git log --oneline` has it or a little more.
COMMIT_DIGITS = 10
ORDER = ("stable", "canary")
TITLES = {
    "git and file": "Git and the stack file",
    "file and deployed": "the stack file and what was deployed",
    "deployed and cluster": "what was deployed and the cluster",
}


def status_text(status: Status) -> str:
    """Address, tracks, last verdict and update, and what the records disagree about."""
    outputs = status.outputs
    lines = [
        f"stack     {status.stack} (namespace {outputs.get('namespace')}, traffic {outputs.get('traffic')})",
        f"address   {outputs.get('url')}",
        "",
    ]
    lines += _live_table(status) if status.live is not None else _known_table(status)
    lines += ["", *_records(status), *_drift(status)]
    return "\n".join(lines)


def _live_table(status: Status) -> list[str]:
    tracks = status.live or {}
    rows = [_row(name, tracks[name]) for name in ORDER if name in tracks]
    over = "since the pods started" if status.window is None else f"in the last {status.window:.0f} s"
    lines = _columns([COLUMNS, *rows])
    lines.append(f"(requests, errors and times {over}; probes are left out)")
    lines += [f"{name}: {track.unread}" for name, track in tracks.items() if track.unread]
    return lines


def _row(name: str, track: LiveTrack) -> tuple[str, ...]:
    revision = track.revision.partition("-")
    shown = revision[0][:COMMIT_DIGITS] + "".join(revision[1:])
    pods = f"{track.ready}/{track.wanted}" + (f" (of {track.pods})" if track.pods != track.wanted else "")
    return (name, short(track.image), shown or "(unknown)", pods, f"{track.share:g} %", *_figures(track.served))


def _figures(served: Served | None) -> tuple[str, ...]:
    if served is None:
        return ("?", "?", "?", "?")
    if served.error_percent is None:
        return ("0", "-", "-", "-")
    times = tuple("-" if each is None else f"{each:.1f} ms" for each in (served.median_ms, served.p90_ms))
    return (f"{served.requests}", f"{served.error_percent:.2f} %", *times)


def _known_table(status: Status) -> list[str]:
    """Without the cluster: what the engine's state says was deployed."""
    tracks = status.standing.tracks
    shares = status.outputs.get("tracks", {})
    rows = [
        (name, short(tracks[name].image), str(tracks[name].replicas), f"{shares.get(name, {}).get('share', '?')} %")
        for name in ORDER
        if name in tracks
    ]
    said = textwrap.wrap(f"The cluster cannot be asked: {status.unreachable}", WIDTH)
    return [*said, "As it was deployed, by the stack's state:", *_columns([("TRACK", "IMAGE", "PODS", "USERS"), *rows])]


def _columns(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _records(status: Status) -> list[str]:
    lines: list[str] = []
    if status.at_work:
        lines.append(f"at work   {status.at_work}")
    if status.verdict:
        lines.append(f"verdict   {status.verdict.result} for {short(status.verdict.digest)}, {status.verdict.time}")
    if last := status.last:
        lines.append(f"update    {last.result}, {_time(last.time)}: {last.message or '(no message)'}")
    if status.standing.interrupted:
        count = len(status.standing.interrupted)
        lines.append(f"cut off   an update was, amid {count} resources; the next command clears that up")
    if status.unpinned:
        lines.append(f"unpinned  {' and '.join(status.unpinned)}: the next update builds from the source as it is then")
    return lines


def _drift(status: Status) -> list[str]:
    if not status.drift:
        seen = (
            "Git, the stack file, what was deployed and the cluster" if status.live is not None else "Git and the file"
        )
        return [f"drift     none: {seen} agree"]
    lines = ["drift"]
    for between, title in TITLES.items():
        found = [each for each in status.drift if each.between == between]
        if found:
            lines.append(f"  between {title}:")
        for each in found:
            lines += textwrap.wrap(
                f"{each.what}; {each.remedy}",
                WIDTH,
                initial_indent="  - ",
                subsequent_indent="    ",
                break_on_hyphens=False,
            )
    return lines


def _time(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC")
