"""What Git knows of a stack file: what it said about the release, and who changed that when."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from contract.project import declared_defaults
from promotion.errors import CommandError
from promotion.state.history import RELEASE_KEYS, Change, differences
from promotion.state.stack_file import StackFile


@dataclass(frozen=True)
class Commit:
    """A Git commit that changed what the stack file says about the release."""

    commit: str
    time: datetime
    author: str
    message: str
    changes: Sequence[Change]


def commits(file: StackFile, newest: int | None) -> list[Commit]:
    """Commits that changed the release in the stack file, newest first; none outside Git."""
    name = file.path.name
    limit = [f"--max-count={newest}"] if newest else []
    log = _git(file, "log", *limit, "--format=%H%x00%at%x00%an%x00%s", "--", name)
    rows = [line.split("\0") for line in log.splitlines()]
    if not rows:
        return []
    contents = [_release_keys(file, row[0]) for row in rows]
    earliest = _release_keys(file, f"{rows[-1][0]}~")
    found: list[Commit] = []
    for (commit, seconds, author, message), after, before in zip(
        rows, contents, [*contents[1:], earliest], strict=True
    ):
        if changes := differences(before, after):
            found.append(Commit(commit, datetime.fromtimestamp(int(seconds), UTC), author, message, changes))
    return found


def _release_keys(file: StackFile, revision: str) -> dict[str, str]:
    """What the file said about the release in that revision, unset keys with their defaults."""
    try:
        said = file.values(_git(file, "show", f"{revision}:./{file.path.name}"))
    except CommandError:  # no valid YAML, once
        said = {}
    return {key: said.get(key, declared_defaults()[key]) for key in RELEASE_KEYS}


def committed(file: StackFile) -> str | None:
    """The stack file's text in Git's HEAD; None where Git does not have it."""
    return _git(file, "show", f"HEAD:./{file.path.name}") or None


def in_git(file: StackFile) -> bool:
    """Whether the stack file is in a Git checkout at all."""
    return _git(file, "rev-parse", "--is-inside-work-tree").strip() == "true"


def _git(file: StackFile, *arguments: str) -> str:
    command = ["git", "-C", str(file.path.parent), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no git on this machine
        return ""
    return done.stdout if done.returncode == 0 else ""
