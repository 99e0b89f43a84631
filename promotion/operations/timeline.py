"""Updates of the stack and commits of its file in one timeline, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from contract.image import short
from promotion.state.git import Commit
from promotion.state.history import RELEASE_KEYS, SUCCEEDED, Release, Update, changes_text, flattened

Entry = Update | Commit
COMMIT_DIGITS = 10
#: Number of releases in the text.
LISTED_RELEASES = 10
SHALLOW = "(incomplete: this clone is shallow and lacks older commits; `git fetch --unshallow` fetches them)"


def timeline(updates: Sequence[Update], commits: Sequence[Commit]) -> list[Entry]:
    """Merge both by time, newest first, without updates that deploy no config, such as refreshes."""
    deployed = [update for update in updates if update.kind in ("update", "destroy")]
    return sorted([*deployed, *commits], key=lambda entry: entry.time, reverse=True)


def timeline_text(stack: str, entries: Sequence[Entry], releases: Sequence[Release], complete: bool = True) -> str:
    """Return the releases, then every entry with its changes. ``complete``: Git has all commits."""
    note = [] if complete else [SHALLOW]
    if not entries:
        return "\n".join([f"stack `{stack}` has no updates, and Git has no commits of its file", *note])
    lines = [f"releases of stack {stack} (`rollback --to` takes a number or a digest)"]
    lines += [_release_line(release, newest=release is releases[0]) for release in releases[:LISTED_RELEASES]]
    lines += ["", "changes"]
    for entry in entries:
        lines += _entry_lines(entry)
    return "\n".join([*lines, *note])


def _release_line(release: Release, newest: bool) -> str:
    image = short(release.image) if release.image else "(built from source, never pinned)"
    result = "" if release.result == SUCCEEDED else f", {release.result}"
    mark = "*" if newest else " "
    return f"{mark} {release.number:>3}  {_minute(release.time)}  {image}{result}  {_first_line(release.message)}"


def _entry_lines(entry: Entry) -> list[str]:
    time = _minute(entry.time)
    if isinstance(entry, Commit):
        head = f"{time}  commit {entry.commit[:COMMIT_DIGITS]} of {entry.author}: {_first_line(entry.message)}"
        return [head, *_indent(changes_text(entry.changes))]
    head = f"{time}  {entry.kind} {entry.number} {entry.result}: {_first_line(entry.message) or '(no message)'}"
    edited = ", with uncommitted changes" if entry.edited else ""
    source = [f"from commit {entry.commit[:COMMIT_DIGITS]} of {entry.author}{edited}"] if entry.commit else []
    release = [change for change in entry.changes if change.key in RELEASE_KEYS]
    others = [change.key for change in flattened(each for each in entry.changes if each.key not in RELEASE_KEYS)]
    more = [f"other keys: {', '.join(others)}"] if others else []
    return [head, *_indent([*source, *changes_text(release), *more])]


def _indent(lines: Sequence[str]) -> list[str]:
    return [f"                   {line}" for line in lines]


def timeline_json(
    stack: str, entries: Sequence[Entry], releases: Sequence[Release], complete: bool = True
) -> dict[str, Any]:
    """Return the timeline for scripts: each entry with its changes, without its whole config."""
    return {
        "stack": stack,
        "complete": complete,
        "releases": [
            {**asdict(release), "digest": release.digest, "time": _second(release.time)} for release in releases
        ],
        "moves": [_entry_json(entry) for entry in entries],
    }


def _entry_json(entry: Entry) -> dict[str, Any]:
    changes = [asdict(change) for change in entry.changes]
    if isinstance(entry, Commit):
        return {**asdict(entry), "kind": "commit", "time": _second(entry.time), "changes": changes}
    omitted = ("config", "replaced", "updated", "ended")
    fields = {key: value for key, value in asdict(entry).items() if key not in omitted}
    return {**fields, "time": _second(entry.time), "changes": changes}


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text else ""


def _minute(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M")


def _second(time: datetime) -> str:
    return time.isoformat(timespec="seconds")
