"""The status as text. This module imports no Kubernetes client, which takes half a second."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from contract.image import short

if TYPE_CHECKING:
    from promotion.status.live import LiveTrack, Served
    from promotion.status.status import Status

WIDTH = 110
COLUMNS = ("TRACK", "IMAGE", "REVISION", "READY", "USERS", "REQUESTS", "ERRORS", "MEDIAN", "P90")
#: Hex digits shown of a Git commit.
COMMIT_DIGITS = 10
ORDER = ("stable", "canary")
TITLES = {
    "git and file": "Git and the stack file",
    "file and deployed": "the stack file and the last deployment",
    "deployed and cluster": "the last deployment and the cluster",
}


def status_text(status: Status) -> str:
    """Return address, tracks, last verdict and update, and all differences."""
    lines = [*_head(status.stack, status.outputs), ""]
    lines += _live_table(status) if status.live is not None else _deployed_table(status)
    lines += [*_settings(status.outputs), "", *_records(status), *_drift(status)]
    return "\n".join(lines)


def outputs_text(stack: str, outputs: Mapping[str, Any]) -> str:
    """Return address and tracks from the stack's outputs alone."""
    tracks: Mapping[str, Mapping[str, Any]] = outputs.get("tracks", {})
    rows = [f"{'TRACK':<9} {'REPLICAS':>8} {'SHARE':>7}  IMAGE"]
    rows += [
        f"{name:<9} {tracks[name]['replicas']:>8} {tracks[name]['share']:>6g}%  {tracks[name]['image']}"
        for name in ORDER
        if name in tracks
    ]
    return "\n".join([*_head(stack, outputs), "", *rows, *_settings(outputs)])


def next_commands(stack: str, outputs: Mapping[str, Any]) -> str:
    """Return commands to try next."""
    url = outputs.get("url")
    return "\n".join(
        [
            "Next:",
            f"  curl -X PUT -d firstName=Ada -d lastName=Lovelace {url}/person",
            f"  curl {url}/all",
            '  eval "$(make env)"          # pulumi, kubectl and the lab in this shell',
            f"  make canary STACK={stack}       # after you have edited the service: build it, run it beside stable",
            f"  make verdict STACK={stack}      # then: make promote, or make rollback",
        ]
    )


def _settings(outputs: Mapping[str, Any]) -> list[str]:
    """Return a line that names the settings that differ in the canary's pods, if any do."""
    names = outputs.get("tracks", {}).get("canary", {}).get("settings", [])
    return [f"(the canary has other settings: {', '.join(names)})"] if names else []


def _head(stack: str, outputs: Mapping[str, Any]) -> list[str]:
    return [
        f"stack     {stack} (namespace {outputs.get('namespace')}, traffic {outputs.get('traffic')})",
        f"address   {outputs.get('url')}",
        f"page      `python -m promotion dashboard --stack {stack}` shows it in the browser",
    ]


def _live_table(status: Status) -> list[str]:
    tracks = status.live or {}
    rows = [_row(name, tracks[name]) for name in ORDER if name in tracks]
    period = "since the pods started" if status.window is None else f"in the last {status.window:.0f} s"
    lines = _columns([COLUMNS, *rows])
    lines.append(f"(requests, errors and latency {period}, without probes)")
    lines += [f"{name}: {track.unread}" for name, track in tracks.items() if track.unread]
    return lines


def _row(name: str, track: LiveTrack) -> tuple[str, ...]:
    commit, dash, rest = track.revision.partition("-")
    revision = f"{commit[:COMMIT_DIGITS]}{dash}{rest}"
    pods = f"{track.ready}/{track.wanted}" + (f" (of {track.pods})" if track.pods != track.wanted else "")
    return (name, short(track.image), revision or "(unknown)", pods, f"{track.share:g} %", *_figures(track.served))


def _figures(served: Served | None) -> tuple[str, ...]:
    if served is None:
        return ("?", "?", "?", "?")
    if served.error_percent is None:
        return ("0", "-", "-", "-")
    times = tuple("-" if each is None else f"{each:.1f} ms" for each in (served.median_ms, served.p90_ms))
    return (f"{served.requests}", f"{served.error_percent:.2f} %", *times)


def _deployed_table(status: Status) -> list[str]:
    """Return the tracks from the engine's state, for a cluster that does not answer."""
    tracks = status.state.tracks
    shares = status.outputs.get("tracks", {})
    rows = [
        (name, short(tracks[name].image), str(tracks[name].replicas), f"{shares.get(name, {}).get('share', '?')} %")
        for name in ORDER
        if name in tracks
    ]
    reason = textwrap.wrap(f"The cluster cannot be reached: {status.unreachable}", WIDTH)
    return [*reason, "Last deployed, from the stack's state:", *_columns([("TRACK", "IMAGE", "PODS", "USERS"), *rows])]


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
    if count := len(status.state.interrupted):
        lines.append(
            f"warning   an update was interrupted with {count} resources in progress; the next command cleans up"
        )
    if status.unpinned:
        tracks = " and ".join(status.unpinned)
        lines.append(f"unpinned  {tracks}: the next update builds the source in the working tree")
    if status.uncompared:
        lines.append(f"warning   Git and the stack file are not compared: {status.uncompared}")
    return lines


def _drift(status: Status) -> list[str]:
    if not status.drift:
        compared = [] if status.uncompared else ["Git"]
        compared += ["stack file", "last deployment"]
        compared += ["cluster"] if status.live is not None else []
        return [f"drift     none: {', '.join(compared[:-1])} and {compared[-1]} agree"]
    lines = ["drift"]
    for between, title in TITLES.items():
        drift = [each for each in status.drift if each.between == between]
        if drift:
            lines.append(f"  between {title}:")
        for each in drift:
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
