"""The build context: which of its files Docker would send, and a digest of them that is stored in the inputs."""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

_CHUNK = 1024 * 1024


def ignore_patterns(context: Path, dockerfile: Path) -> list[str]:
    """The patterns in `<Dockerfile>.dockerignore`, or else in the context's `.dockerignore`, cleaned as Docker does."""
    for candidate in (dockerfile.with_name(f"{dockerfile.name}.dockerignore"), context / ".dockerignore"):
        try:
            text = candidate.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            continue
        return [pattern for line in text.splitlines() if (pattern := _clean(line))]
    return []


def _clean(line: str) -> str:
    if line.startswith("#"):
        return ""
    pattern = line.strip()
    negated = pattern.startswith("!")
    pattern = pattern.removeprefix("!").strip()
    if not pattern:
        return ""
    pattern = posixpath.normpath(pattern)
    if len(pattern) > 1:
        pattern = pattern.lstrip("/")
    return f"!{pattern}" if negated else pattern


def _regular_expression(pattern: str) -> re.Pattern[str]:
    """A pattern of moby's pattern matcher as a regular expression over a path relative to the context."""
    expression, at = "", 0
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character == "*":
            if not pattern.startswith("*", at):
                expression += "[^/]*"
                continue
            at += 1
            if pattern.startswith("/", at):
                at += 1
            expression += ".*" if at >= len(pattern) else "(.*/)?"
        elif character == "?":
            expression += "[^/]"
        elif character == "\\" and at < len(pattern):
            expression += re.escape(pattern[at])
            at += 1
        elif character in "[]^-":
            expression += character
        else:
            expression += re.escape(character)
    return re.compile(expression)


class IgnoreRules:
    """Whether a path of the context is left out, by the patterns in their order: the last that matches decides."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._rules = [
            (_regular_expression(pattern.removeprefix("!")), pattern.startswith("!")) for pattern in patterns
        ]
        self.has_exceptions = any(keep for _, keep in self._rules)

    def ignores(self, path: str) -> bool:
        """Whether the path, or a folder it lies in, is left out."""
        parts = path.split("/")
        ancestry = ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
        ignored = False
        for rule, keep in self._rules:
            if ignored == keep and any(rule.fullmatch(each) for each in ancestry):
                ignored = not keep
        return ignored


def context_files(context: Path, rules: IgnoreRules) -> Iterator[str]:
    """The context's files and symbolic links that Docker would send, as sorted relative paths."""

    def walk(folder: str) -> Iterator[str]:
        with os.scandir(context / folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            ignored = rules.ignores(path)
            if entry.is_dir(follow_symlinks=False):
                # An exception such as `!docs/README.md` may bring something in an ignored folder back.
                if not ignored or rules.has_exceptions:
                    yield from walk(path)
            elif not ignored:
                yield path

    yield from walk("")


def context_digest(context: Path, dockerfile: Path) -> str:
    """SHA-256 of names, modes and contents of what Docker would send, and of the Dockerfile; times don't count.

    The same tree has the same digest everywhere, and any edit that reaches the build has another. (The official
    plugin's digest is as stable, but has another value: changing over from one to the other builds once more.)
    """
    digest = hashlib.sha256()
    _add(digest, "Dockerfile", dockerfile, mode="")
    for path in context_files(context, IgnoreRules(ignore_patterns(context, dockerfile))):
        file = context / path
        _add(digest, path, file, mode=stat.filemode(file.lstat().st_mode))
    return digest.hexdigest()


def _add(digest: hashlib._Hash, name: str, file: Path, mode: str) -> None:  # pyright: ignore[reportPrivateUsage]
    content = hashlib.sha256()
    if mode.startswith("l"):
        content.update(os.fsencode(file.readlink()))
    elif not mode or mode.startswith("-"):
        with file.open("rb") as opened:
            while chunk := opened.read(_CHUNK):
                content.update(chunk)
    digest.update(os.fsencode(name) + b"\0" + mode.encode() + b"\0" + content.digest())
