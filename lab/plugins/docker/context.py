"""A digest of the build context, which the inputs carry so that an edit is a change."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path


def context_digest(context: Path, dockerfile: Path) -> str:
    """Return the SHA-256 of what Docker would send: names, modes and contents, and the Dockerfile.

    Times do not count. The official plugin has another digest for the same tree, so changing over builds once more.
    Raises OSError when a file cannot be read.
    """
    # Docker's own SDK knows the rules of `.dockerignore`. Only a build needs it, and the import takes a while.
    from docker.utils.build import PatternMatcher

    ignore_file = context / ".dockerignore"
    patterns = ignore_file.read_text().splitlines() if ignore_file.is_file() else []
    patterns = [line.strip() for line in patterns if line.strip() and not line.startswith("#")]
    matcher = PatternMatcher(patterns)
    matcher.patterns.pop()  # The SDK's own exception for `.dockerignore`, which BuildKit does not have.
    digest = hashlib.sha256(_entry("Dockerfile", "", dockerfile.read_bytes()))
    for name in sorted(matcher.walk(str(context)), key=lambda name: name.split("/")):
        path = context / name
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            digest.update(_entry(name, stat.filemode(mode), os.fsencode(path.readlink())))
        elif stat.S_ISREG(mode):
            digest.update(_entry(name, stat.filemode(mode), path.read_bytes()))
    return digest.hexdigest()


def _entry(name: str, mode: str, content: bytes) -> bytes:
    return os.fsencode(name) + b"\0" + mode.encode() + b"\0" + hashlib.sha256(content).digest()
