"""The content hash, Git revision and origin of an image that is built from source."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

#: Hex digits of the content hash in a tag. 48 bits are unique for any team's images.
TAG_DIGITS = 12
#: Git's short form of an SSH remote, ``user@host:path``.
SHORT_SSH = re.compile(r"^(?:[^@/:]+@)?([^@/:]{2,}):(?!//)(.*)")


def content_tag(context: Path, dockerfile: str, platform: str, build_args: Mapping[str, str]) -> str:
    """Return a tag that names the image by everything that goes into it.

    The same content gives the same tag, so a stack builds it only once. Another machine's build of it may have another
    digest, so the registry must let these tags move. The hash covers the files that ``.dockerignore`` leaves in (names,
    content, executable bits; not times), the Dockerfile, the platform and the build arguments. Raises OSError if a file
    cannot be read.
    """
    # Imported here because a stack with pinned images builds nothing. Docker's SDK applies Docker's own rules.
    from docker.utils.build import exclude_paths

    ignore_file = context / ".dockerignore"
    patterns = ignore_file.read_text().splitlines() if ignore_file.is_file() else []
    patterns = [line.strip() for line in patterns if line.strip() and not line.lstrip().startswith("#")]
    digest = hashlib.sha256(json.dumps([dockerfile, platform, dict(sorted(build_args.items()))]).encode())
    for name in sorted(exclude_paths(str(context), patterns, dockerfile=dockerfile)):
        path = context / name
        if path.is_symlink():
            digest.update(f"link {name} {path.readlink()}\0".encode())
        elif path.is_file():
            executable = bool(path.stat().st_mode & 0o100)
            digest.update(f"file {name} {executable} {hashlib.sha256(path.read_bytes()).hexdigest()}\0".encode())
    return f"src-{digest.hexdigest()[:TAG_DIGITS]}"


def revision(context: Path) -> str:
    """Return the Git commit that last changed the build context, with ``-dirty`` if edited since; "" outside Git."""
    commit = _git(context, "log", "-1", "--format=%H", "--", ".")
    edited = _git(context, "status", "--porcelain", "--", ".")
    return f"{commit}-dirty" if commit and edited else commit


def origin(context: Path) -> str:
    """Return the web address of the Git remote ``origin`` for the image's label; "" if there is none.

    A login in the address is removed, and an SSH address becomes the same host's HTTPS address.
    """
    remote = urlsplit(SHORT_SSH.sub(r"ssh://\1/\2", _git(context, "remote", "get-url", "origin")))
    path = remote.path.strip("/").removesuffix(".git")
    if remote.scheme in ("http", "https"):
        return f"{remote.scheme}://{remote.netloc.rpartition('@')[2]}/{path}"
    return f"https://{remote.hostname}/{path}" if remote.scheme in ("ssh", "git") else ""


def _git(context: Path, *args: str) -> str:
    try:
        command = ["git", "--no-pager", "-c", "log.showSignature=false", "-C", str(context), *args]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    except FileNotFoundError:  # no git on this machine
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
