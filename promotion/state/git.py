"""Read and commit stack files in Git. Every function raises CommandError if Git fails.

Git prints NUL-separated fields without colours, pagers and signatures, whatever the user's settings are. If the stack
file is a symbolic link, its target is read and committed.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from contract.project import declared_defaults
from promotion.errors import CommandError
from promotion.state.history import RELEASE_KEYS, Change, differences
from promotion.state.stack_file import StackFile

#: Options of every call, so that the user's settings do not change the output.
OPTIONS = ("--no-pager", "-c", "log.showSignature=false", "-c", "core.quotePath=false")
#: Environment for reading: English messages, no lock to refresh the index, and no wildcards in file names.
READING = {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_LITERAL_PATHSPECS": "1"}
FIELDS = ("%H", "%P", "%at", "%an", "%s")
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
#: The revision of an image: a commit, and perhaps a mark such as `-dirty`.
REVISION = re.compile(r"^([0-9a-f]{7,64})(?:-\w+)?$")
#: Git's error about a repository of another user.
DUBIOUS_OWNERSHIP = re.compile(r"dubious ownership in repository at '(.*)'")


@dataclass(frozen=True)
class Commit:
    """A commit that changed the release in the stack file."""

    commit: str
    time: datetime
    author: str
    message: str
    changes: Sequence[Change]


def is_in_git(file: StackFile) -> bool:
    """Return whether the stack file is in a Git checkout, which may be a worktree or a submodule."""
    return any((parent / ".git").exists() for parent in file.path.resolve().parents)


def is_shallow(file: StackFile) -> bool:
    """Return whether the checkout lacks older commits, as after ``git clone --depth``; False outside Git."""
    return is_in_git(file) and git(_folder(file), "rev-parse", "--is-shallow-repository").strip() == "true"


def commits(file: StackFile, newest: int | None, key: str = "") -> list[Commit]:
    """Return the commits that changed the release in the stack file, newest first; none outside Git.

    A commit is compared with its own parents, since others may have committed in parallel. A merge has only the changes
    that none of its parents has. The oldest commit of a shallow clone is omitted: what it changed is unknown.
    ``newest`` limits how many commits of the file are read. With ``key``, only those that changed its line are read.
    """
    if not _has_commits(file):
        return []
    limit = [*([f"--max-count={newest}"] if newest else []), *([f"-G{key}"] if key else [])]
    # Without --full-history Git skips a branch whose changes were undone before its merge, and their rejections.
    log = git(
        *(_folder(file), "log", "-z", "--full-history", "--no-ext-diff", "--encoding=UTF-8", *limit),
        *(f"--format={'%x00'.join(FIELDS)}", "--", _name(file)),
    )
    fields = log.removesuffix("\0").split("\0") if log else []
    rows = [fields[start : start + len(FIELDS)] for start in range(0, len(fields), len(FIELDS))]
    if is_shallow(file):
        rows = [row for row in rows if row[1]]
    revisions = sorted({revision for row in rows for revision in (row[0], *row[1].split())})
    texts = dict(zip(revisions, _texts_at(file, revisions), strict=True))

    @cache
    def keys(text: str | None) -> dict[str, str]:
        return _release_keys(file, text)

    with_changes: list[Commit] = []
    for commit, parents, seconds, author, message in rows:
        befores = [keys(texts[parent]) for parent in parents.split()] or [keys(None)]
        if changes := _own_changes(befores, keys(texts[commit])):
            time = datetime.fromtimestamp(int(seconds), UTC)
            with_changes.append(Commit(commit, time, _printable(author), _printable(message), changes))
    return with_changes


def author_of(file: StackFile, revision: str) -> str:
    """Return who wrote a commit that an image reports as its revision; "" if the checkout does not have the commit."""
    commit = REVISION.match(revision)
    if not commit or not is_in_git(file):
        return ""
    try:
        return _printable(git(_folder(file), "log", "--max-count=1", "--format=%an", commit[1]).strip())
    except CommandError:
        return ""


def _own_changes(befores: Sequence[Mapping[str, str]], after: Mapping[str, str]) -> list[Change]:
    """Return the keys that no parent has with this value; ``before`` is the first parent's."""
    first, *others = befores
    return [
        change
        for change in differences(first, after)
        if all(parent.get(change.key) != change.after for parent in others)
    ]


def committed_text(file: StackFile) -> str | None:
    """Return the stack file's text in HEAD; None if it is not committed."""
    return _texts_at(file, ["HEAD"])[0] if is_in_git(file) else None


def commit_file(file: StackFile, message: str) -> bool:
    """Commit the stack file and nothing else; return False if it has not changed."""
    folder, name = _folder(file), _name(file)
    if not git(folder, "status", "--porcelain", "--untracked-files=all", "--", name):
        return False
    _git(folder, "add", "--", name, environment={})
    _git(folder, "commit", "--quiet", "--message", message, "--only", "--", name, environment={})
    return True


def git(folder: Path, *arguments: str, stdin: str = "") -> str:
    """Read from Git in ``folder``; return what it prints. Raises CommandError if Git is missing or fails."""
    return _git(folder, *arguments, stdin=stdin).decode(errors="replace")


def _git(folder: Path, *arguments: str, stdin: str = "", environment: dict[str, str] = READING) -> bytes:
    command = ["git", "-C", str(folder), *OPTIONS, *arguments]
    try:
        done = subprocess.run(
            command, input=stdin.encode(), capture_output=True, check=False, env={**os.environ, **environment}
        )
    except FileNotFoundError:
        raise CommandError("the `git` command is not on PATH: install it") from None
    if done.returncode:
        raise _failed(folder, arguments[0], done.stderr.decode(errors="replace").strip(), done.returncode)
    return done.stdout


def _failed(folder: Path, command: str, error: str, code: int) -> CommandError:
    if match := DUBIOUS_OWNERSHIP.search(error):
        return CommandError(
            f"Git refuses to read {match[1]}, which belongs to another user: run `git config --global --add"
            f" safe.directory {match[1]}`"
        )
    reason = " ".join(error.split()).removeprefix("fatal: ") or f"exit code {code}"
    return CommandError(f"`git {command}` failed in {folder}: {reason}")


def _folder(file: StackFile) -> Path:
    return file.path.resolve().parent


def _name(file: StackFile) -> str:
    return file.path.resolve().name


def _printable(text: str) -> str:
    """Return one line without the control characters that would reach a terminal."""
    return CONTROL_CHARACTERS.sub(" ", text).strip()


def _has_commits(file: StackFile) -> bool:
    """Return whether HEAD is a commit; False outside Git and in a new repository."""
    if not is_in_git(file):
        return False
    shown = git(_folder(file), "cat-file", "--batch-check", stdin="HEAD\n")
    return not shown.endswith("missing\n")


def _texts_at(file: StackFile, revisions: Sequence[str]) -> list[str | None]:
    """Return the file's text in each revision; None if the revision does not have it."""
    if not revisions:
        return []
    names = "".join(f"{revision}:./{_name(file)}\n" for revision in revisions)
    rest = _git(_folder(file), "cat-file", "--batch", stdin=names)
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
