"""What an image built from source is made of: its content's hash and the revision it comes from."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

#: Hex digits of the content hash in a tag; 48 bits tell any team's images apart.
TAG_DIGITS = 12
#: A remote in Git's short form for SSH, ``user@host:path``.
SHORT_SSH = re.compile(r"^(?:[^@/:]+@)?([^@/:]{2,}):(?!//)(.*)")


def content_tag(context: Path, dockerfile: str, platform: str, build_args: Mapping[str, str]) -> str:
    """Tag that names the image by all that goes into it.

    The same content gives the same tag, so nothing is rebuilt that this stack has built before. Another machine's build
    of it may have another digest, so a registry has to let these tags move. Covers what the build sees: the context
    less what ``.dockerignore`` leaves out (names, content, executable bits; not times), the Dockerfile, the platform
    and the build arguments. Raises OSError when a file cannot be read.
    """
    # Imported here, since a stack whose images are pinned builds nothing. Docker's own SDK, for Docker's own rules.
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
    """Git commit that last changed the build context, with ``-dirty`` when it was edited since; "" outside Git."""
    commit = _git(context, "log", "-1", "--format=%H", "--", ".")
    edited = _git(context, "status", "--porcelain", "--", ".")
    return f"{commit}-dirty" if commit and edited else commit


def origin(context: Path) -> str:
    """Web address of the Git remote ``origin``, as an image's label may tell it; "" where there is none.

    A login in the remote's address is left out, and what is fetched over SSH is told as the same host's page.
    """
    remote = urlsplit(SHORT_SSH.sub(r"ssh://\1/\2", _git(context, "remote", "get-url", "origin")))
    path = remote.path.strip("/").removesuffix(".git")
    if remote.scheme in ("http", "https"):
        return f"{remote.scheme}://{remote.netloc.rpartition('@')[2]}/{path}"
    return f"https://{remote.hostname}/{path}" if remote.scheme in ("ssh", "git") else ""


def _git(context: Path, *args: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(context), *args], capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no git on this machine
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
