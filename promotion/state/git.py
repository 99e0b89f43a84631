"""Read and commit stack files in Git. Every function raises CommandError if Git fails."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from contract.project import declared_defaults
from promotion.errors import CommandError
from promotion.state.history import RELEASE_KEYS, Change, differences
from promotion.state.stack_file import StackFile


@dataclass(frozen=True)
class Commit:
    """A commit that changed the release in the stack file."""

    commit: str
    time: datetime
    author: str
    message: str
    changes: Sequence[Change]


def is_in_git(file: StackFile) -> bool:
    """Return whether the stack file is in a Git checkout."""
    folder = file.path.parent.resolve()
    return any((parent / ".git").exists() for parent in (folder, *folder.parents))


def commits(file: StackFile, newest: int | None) -> list[Commit]:
    """Return the commits that changed the release in the stack file, newest first; none outside Git.

    ``newest`` limits how many commits of the file are read.
    """
    if not _has_commits(file):
        return []
    name = file.path.name
    limit = [f"--max-count={newest}"] if newest else []
    log = git(file.path.parent, "log", *limit, "--format=%H%x00%at%x00%an%x00%s", "--", name)
    rows = [line.split("\0") for line in log.splitlines()]
    if not rows:
        return []
    texts = _texts_at(file, [*(row[0] for row in rows), f"{rows[-1][0]}~"])
    keys = [_release_keys(file, text) for text in texts]
    with_changes: list[Commit] = []
    for (commit, seconds, author, message), after, before in zip(rows, keys[:-1], keys[1:], strict=True):
        if changes := differences(before, after):
            with_changes.append(Commit(commit, datetime.fromtimestamp(int(seconds), UTC), author, message, changes))
    return with_changes


def committed_text(file: StackFile) -> str | None:
    """Return the stack file's text in HEAD; None if it is not committed."""
    return _texts_at(file, ["HEAD"])[0] if is_in_git(file) else None


def commit_file(file: StackFile, message: str) -> bool:
    """Commit the stack file and nothing else; return False if it has not changed."""
    folder, name = file.path.parent, file.path.name
    if not git(folder, "status", "--porcelain", "--", name):
        return False
    git(folder, "add", "--", name)
    git(folder, "commit", "--quiet", "--message", message, "--only", "--", name)
    return True


def git(folder: Path, *arguments: str, stdin: str = "") -> str:
    """Run Git in ``folder`` and return what it prints. Raises CommandError if Git is missing or fails."""
    return _git(folder, *arguments, stdin=stdin).decode(errors="replace")


def _git(folder: Path, *arguments: str, stdin: str = "") -> bytes:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, input=stdin.encode(), capture_output=True, check=False)
    except FileNotFoundError:
        raise CommandError("the `git` command is not on PATH: install it") from None
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
        raise CommandError(f"`git {arguments[0]}` failed in {folder}: {reason}")
    return done.stdout


def _has_commits(file: StackFile) -> bool:
    """Return whether HEAD is a commit; False outside Git and in a new repository."""
    if not is_in_git(file):
        return False
    shown = git(file.path.parent, "cat-file", "--batch-check", stdin="HEAD\n")
    return not shown.endswith("missing\n")


def _texts_at(file: StackFile, revisions: Sequence[str]) -> list[str | None]:
    """Return the file's text in each revision; None if the revision does not have it."""
    names = "".join(f"{revision}:./{file.path.name}\n" for revision in revisions)
    rest = _git(file.path.parent, "cat-file", "--batch", stdin=names)
    texts: list[str | None] = []
    for _ in revisions:
        header, _, rest = rest.partition(b"\n")
        if header.endswith(b"missing"):
            texts.append(None)
            continue
        size = int(header.rpartition(b" ")[2])
        texts.append(rest[:size].decode(errors="replace"))
        rest = rest[size + 1 :]
    return texts


def _release_keys(file: StackFile, text: str | None) -> dict[str, str]:
    """Return the release's keys in that text of the file, defaults included."""
    try:
        values = file.values(text or "")
    except CommandError:  # an earlier revision may be invalid YAML
        values = {}
    return {key: values.get(key, declared_defaults()[key]) for key in RELEASE_KEYS}
