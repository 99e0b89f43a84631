"""Updates of the stack and commits of its file in one story, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from promotion.state.git import Commit
from promotion.state.history import RELEASE_KEYS, SUCCEEDED, Release, Update, changes_text, short

Move = Update | Commit
COMMIT_DIGITS = 10
#: Releases that are listed.
LISTED = 10


def moves(updates: Sequence[Update], commits: Sequence[Commit]) -> list[Move]:
    """Both in order of time, newest first; refreshes and what else deployed no config is left out."""
    told = [update for update in updates if update.kind in ("update", "destroy")]
    return sorted([*told, *commits], key=lambda move: move.time, reverse=True)


def moves_text(stack: str, found: Sequence[Move], releases: Sequence[Release]) -> str:
    """The releases, then every move with what it changed."""
    if not found:
        return f"nothing has been deployed on stack `{stack}`, and Git knows no change of its file"
    lines = [f"releases of stack {stack} (`rollback --to` takes a number or a digest)"]
    lines += [_release_line(release, newest=release is releases[0]) for release in releases[:LISTED]]
    lines += ["", "moves"]
    for move in found:
        lines += _entry(move)
    return "\n".join(lines)


def _release_line(release: Release, newest: bool) -> str:
    image = short(release.image) if release.image else "(built from source, never pinned)"
    result = "" if release.result == SUCCEEDED else f", {release.result}"
    mark = "*" if newest else " "
    return f"{mark} {release.number:>3}  {_time(release.time)}  {image}{result}  {_first_line(release.message)}"


def _entry(move: Move) -> list[str]:
    if isinstance(move, Commit):
        head = f"{_time(move.time)}  commit {move.commit[:COMMIT_DIGITS]} of {move.author}: {_first_line(move.message)}"
        return [head, *_indented(changes_text(move.changes))]
    kind = "update" if move.kind == "update" else move.kind
    head = f"{_time(move.time)}  {kind} {move.number} {move.result}: {_first_line(move.message) or '(no message)'}"
    edited = ", files edited since" if move.edited else ""
    source = [f"from commit {move.commit[:COMMIT_DIGITS]} of {move.author}{edited}"] if move.commit else []
    said = [change for change in move.changes if change.key in RELEASE_KEYS]
    others = [change.key for change in move.changes if change.key not in RELEASE_KEYS]
    more = [f"other keys: {', '.join(others)}"] if others else []
    return [head, *_indented([*source, *changes_text(said), *more])]


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"                   {line}" for line in lines]


def moves_json(stack: str, found: Sequence[Move], releases: Sequence[Release]) -> dict[str, Any]:
    """The story for scripts: what each move changed, and not the whole config of each."""
    return {
        "stack": stack,
        "releases": [
            {**asdict(release), "digest": release.digest, "time": _stamp(release.time)} for release in releases
        ],
        "moves": [_plain(move) for move in found],
    }


def _plain(move: Move) -> dict[str, Any]:
    changes = [asdict(change) for change in move.changes]
    if isinstance(move, Commit):
        return {**asdict(move), "kind": "commit", "time": _stamp(move.time), "changes": changes}
    left_out = ("config", "replaced", "updated")
    plain = {key: value for key, value in asdict(move).items() if key not in left_out}
    return {**plain, "time": _stamp(move.time), "changes": changes}


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text else ""


def _time(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M")


def _stamp(time: datetime) -> str:
    return time.isoformat(timespec="seconds")
