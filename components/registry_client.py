"""Copies of images from registry to registry, made by regctl, which moves manifests and blobs as they are.

regctl and no other, because one command of it takes along all that belongs to an image: every platform of an index,
attestations inside it, and what refers to it from outside (OCI 1.1 referrers and cosign's tags: signatures, SBOMs).
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TOOL = "regctl"
INSTALL = "https://regclient.org/install/"
DOCKER_HUB = "docker.io"
#: How regctl ends its sentence when a registry answers that it has no such image.
_NOT_FOUND = re.compile(r"not found \[http 404\]")
_REFUSED = re.compile(r"unauthorized|forbidden|denied|\[http 40[13]\]", re.IGNORECASE)
#: How registries whose tags never move answer to a tag that is there, whatever it names (ECR, Artifact Registry).
_TAG_TAKEN = re.compile(r"already exists|immutable", re.IGNORECASE)
#: What is taken along from registry to registry; within one it is there.
_BELONGINGS = ["--referrers", "--digest-tags"]


class RegistryError(Exception):
    """A registry or regctl refused; the message is one line for the person who can mend it."""


class ImageNotFound(RegistryError):
    """A registry has no such image, by its own answer."""


@dataclass(frozen=True)
class Login:
    """User name and password for the registry that is written to."""

    username: str
    password: str = field(repr=False)


def missing_prerequisites(images: set[str]) -> list[str]:
    """What is missing to copy these images (REPOSITORY@sha256:DIGEST), as sentences; nothing where there are none."""
    wanted = f"copies {', '.join(sorted(images))} into the stack's own registry, or tags what is there"
    return _lacking(wanted) if images else []


def lacking_for_tags() -> list[str]:
    """What is missing where every image that a track runs is tagged."""
    return _lacking("tags what runs, so that the registry's clean-up spares it")


def _lacking(wanted: str) -> list[str]:
    if shutil.which(TOOL):
        return []
    return [f"{TOOL}: not on PATH, and it {wanted}; install it ({INSTALL}; `brew install regclient`)"]


def copy(source: str, repository: str, tag: str, login: Login | None) -> None:
    """Make ``repository`` hold the image ``source`` (REPOSITORY@sha256:DIGEST) under the same digest, and tag it.

    Only what is missing moves; what is there already is left alone, the tag too. Where the source is gone but the
    repository still has the digest, that is tagged. Raises ImageNotFound, RegistryError.
    """
    digest = source.partition("@")[2]
    own, target = f"{repository}@{digest}", f"{repository}:{tag}"
    with _configured(login, source, repository) as environment:
        try:
            _run(["image", "copy", *([] if source == own else _BELONGINGS), source, target], environment)
        except ImageNotFound as missing:
            try:
                _run(["image", "copy", own, target], environment)
            except ImageNotFound:
                raise missing from None
        except RegistryError as fault:
            # Where tags never move, one that somebody else's run has just given is not to be given again.
            if tag not in str(fault) or not _TAG_TAKEN.search(str(fault)):
                raise
        found = _run(["manifest", "head", target], environment)
    if found != digest:
        raise RegistryError(f"the copy at {target} has the digest {found or '(none)'}, not that of {source}")


def missing(image: str, login: Login | None) -> bool:
    """Whether the image's registry answers that it has none; False where it gives no such answer (no login, no net)."""
    with _configured(login, image) as environment:
        try:
            _run(["manifest", "head", image], environment)
        except ImageNotFound:
            return True
        except RegistryError:
            return False
    return False


def label(image: str, name: str, platform: str, timeout_seconds: float) -> str:
    """A label of the image (REPOSITORY@sha256:DIGEST), read with the user's own login; "" where it has none of that
    name. Of an index it is the platform's image. Raises RegistryError, also when there is no answer in that time.
    """
    wanted = f"{{{{ index .Config.Labels {json.dumps(name)} }}}}"
    with _configured(None, image) as environment:
        return _run(
            ["image", "inspect", image, "--platform", platform, "--format", wanted], environment, timeout_seconds
        )


def remedy(fault: RegistryError, source: str, target: str, login: Login | None) -> str:
    """How the sentence of a refused copy goes on: what gives a login to the registry that wants one."""
    if not _REFUSED.search(str(fault)):
        return ""
    if target not in str(fault):
        return f"; `docker login {host(source)}` gives one"
    return (
        "; the login that the stack has there does not let it write"
        if login
        else f"; `docker login {host(target)}` gives one"
    )


def host(image: str) -> str:
    """Host (and port) of an image's or a repository's name; Docker Hub's where it names none."""
    first = image.partition("/")[0]
    named = "/" in image and ("." in first or ":" in first or first == "localhost")
    return first if named else DOCKER_HUB


def repository(image: str) -> str:
    """The image's name without its digest."""
    return image.partition("@")[0]


@contextmanager
def _configured(login: Login | None, *names: str) -> Generator[dict[str, str]]:
    """Environment in which regctl has the user's own settings and logins, and this one for the last name's registry.

    The settings are a file that only the user can read and that is gone afterwards: a process's arguments can be read
    by everyone on the machine. Registries on loopback are spoken to without TLS, as a Docker Engine does; for any
    other, the user's settings say so (`regctl registry set HOST --tls disabled`).
    """
    settings = _own_settings()
    hosts: dict[str, dict[str, Any]] = settings.setdefault("hosts", {})
    for each in map(host, names):
        if _is_loopback(each):
            hosts.setdefault(each, {}).setdefault("tls", "disabled")
    if login:
        entry = hosts.setdefault(host(names[-1]), {})
        for other in ("credHelper", "token"):
            entry.pop(other, None)
        entry.update({"user": login.username, "pass": login.password})
    with tempfile.TemporaryDirectory(prefix="regctl-") as folder:  # 0700
        file = Path(folder) / "config.json"
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            json.dump(settings, opened)
        yield {**os.environ, "REGCTL_CONFIG": str(file)}


def _own_settings() -> dict[str, Any]:
    """The user's regctl settings, looked for where regctl does. Raises RegistryError when they can't be read."""
    in_home = Path.home() / ".regctl" / "config.json"
    in_config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "regctl" / "config.json"
    named = os.environ.get("REGCTL_CONFIG")
    file = Path(named) if named else in_config if in_config.exists() else in_home
    try:
        return json.loads(file.read_text()) if file.exists() else {}
    except (OSError, ValueError) as wrong:
        raise RegistryError(f"regctl's settings in {file} can't be read ({wrong})") from None


def _is_loopback(registry: str) -> bool:
    name = registry.rpartition(":")[0] if re.search(r":\d+$", registry) else registry
    try:
        return name == "localhost" or ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _run(arguments: list[str], environment: dict[str, str], timeout_seconds: float | None = None) -> str:
    """What regctl prints. Raises ImageNotFound, RegistryError with what it said."""
    command = [TOOL, *arguments, "--verbosity", "error"]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=timeout_seconds
        )
    except FileNotFoundError:
        raise RegistryError(f"{TOOL} is not on PATH; install it ({INSTALL})") from None
    except subprocess.TimeoutExpired:
        raise RegistryError(f"the registry has not answered within {timeout_seconds:g} seconds") from None
    if done.returncode == 0:
        return done.stdout.strip()
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    said = lines[-1] if lines else f"exit code {done.returncode}"
    if _NOT_FOUND.search(done.stderr):
        raise ImageNotFound(said)
    raise RegistryError(said)
