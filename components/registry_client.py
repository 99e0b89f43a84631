"""Copy images from registry to registry with regctl, which moves manifests and blobs unchanged.

One regctl command copies everything that belongs to an image: each platform of an index, its attestations, and what
refers to it (OCI 1.1 referrers and cosign's tags: signatures, SBOMs).
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contract.image import digest_of

TOOL = "regctl"
INSTALL = "https://regclient.org/install/"
DOCKER_HUB = "docker.io"
#: End of regctl's message when the registry has no such image.
_NOT_FOUND = re.compile(r"not found \[http 404\]")
#: Parts of regctl's message when the registry wants another login.
_REFUSED = re.compile(r"unauthorized|forbidden|denied|\[http 40[13]\]", re.IGNORECASE)
#: Answer of registries with immutable tags (ECR, Artifact Registry) to a tag that exists.
_TAG_TAKEN = re.compile(r"already exists|immutable", re.IGNORECASE)
#: Answer of Artifact Registry to the deletion of an image that has tags.
_STILL_TAGGED = re.compile(r"DANGLING_TAG|referenced by tag", re.IGNORECASE)
#: Options that copy what refers to the image. Within one registry it exists already.
_WITH_REFERRERS = ["--referrers", "--digest-tags"]


class RegistryError(Exception):
    """A registry or regctl failed; the message is one line."""


class ImageNotFound(RegistryError):
    """The registry has no such image."""


@dataclass(frozen=True)
class Login:
    """Credentials for the target registry."""

    username: str
    password: str = field(repr=False)


def missing_prerequisites(images: set[str]) -> list[str]:
    """Return an error for each missing prerequisite of copying these images (REPOSITORY@sha256:DIGEST)."""
    return _missing_tool(f"to copy {', '.join(sorted(images))} into the stack's registry") if images else []


def missing_tagging_prerequisites() -> list[str]:
    """Return an error for each missing prerequisite of tagging the images that tracks run."""
    return _missing_tool("to tag the images in use, so that the registry's clean-up spares them")


def _missing_tool(purpose: str) -> list[str]:
    if shutil.which(TOOL):
        return []
    return [f"{TOOL}: is not on PATH, but is needed {purpose}; install it ({INSTALL}, or `brew install regclient`)"]


def copy(source: str, repository: str, tag: str, login: Login | None) -> None:
    """Copy the image ``source`` (REPOSITORY@sha256:DIGEST) to ``repository`` under the same digest, and tag it.

    Existing content of the repository stays. If the source is gone but the repository still has the digest,
    only the tag is added. Raises ImageNotFound and RegistryError.
    """
    digest = digest_of(source)
    own, target = f"{repository}@{digest}", f"{repository}:{tag}"
    with _configured(login, source, repository) as environment:
        try:
            _run(["image", "copy", *([] if source == own else _WITH_REFERRERS), source, target], environment)
        except ImageNotFound as not_found:
            try:
                _run(["image", "copy", own, target], environment)
            except ImageNotFound:
                raise not_found from None
        except RegistryError as error:
            # With immutable tags, another run may have just added the same tag.
            if tag not in str(error) or not _TAG_TAKEN.search(str(error)):
                raise
        copied = _run(["manifest", "head", target], environment)
    if copied != digest:
        raise RegistryError(f"the copy at {target} has the digest {copied or '(none)'}, not that of {source}")


def missing(image: str, login: Login | None) -> bool:
    """Return whether the registry reports the image as missing. False if it gives no answer (no login, no network)."""
    with _configured(login, image) as environment:
        try:
            _run(["manifest", "head", image], environment)
        except ImageNotFound:
            return True
        except RegistryError:
            return False
    return False


def tags(repository: str) -> list[str]:
    """Return the tags in a repository, with the user's own login. Raises ImageNotFound and RegistryError."""
    with _configured(None, repository) as environment:
        return _run(["tag", "ls", repository], environment).split()


def digest(image: str) -> str:
    """Return the digest of REPOSITORY:TAG, with the user's own login. Raises ImageNotFound and RegistryError."""
    with _configured(None, image) as environment:
        return _run(["manifest", "head", image], environment)


def attach(image: str, file: Path, media_type: str) -> None:
    """Push a file that refers to the image (REPOSITORY@sha256:DIGEST), with the user's own login.

    Raises RegistryError.
    """
    types = ["--artifact-type", media_type, "--file-media-type", media_type]
    with _configured(None, image) as environment:
        _run(["artifact", "put", "--subject", image, *types, "--file", str(file)], environment)


def delete(repository: str, digest: str, tags: Sequence[str]) -> None:
    """Delete an image with its tags, with the user's own login. One that is gone is fine. Raises RegistryError."""
    image = f"{repository}@{digest}"
    with _configured(None, repository) as environment:
        try:
            _run(["manifest", "delete", image, "--ignore-missing"], environment)
        except RegistryError as error:
            if not _STILL_TAGGED.search(str(error)):
                raise
            for tag in tags:
                _run(["tag", "delete", f"{repository}:{tag}"], environment)
            _run(["manifest", "delete", image, "--ignore-missing"], environment)


def label(image: str, name: str, platform: str, timeout_seconds: float) -> str:
    """Return a label of the image (REPOSITORY@sha256:DIGEST), or "" if it has no such label.

    Uses the user's own login, and reads the platform's image of an index. Raises RegistryError, also after the
    timeout.
    """
    template = f"{{{{ index .Config.Labels {json.dumps(name)} }}}}"
    with _configured(None, image) as environment:
        return _run(
            ["image", "inspect", image, "--platform", platform, "--format", template], environment, timeout_seconds
        )


def remedy(error: RegistryError, source: str, target: str, login: Login | None) -> str:
    """Return how to log in to the registry that refused a copy, to end the error message with; "" for other errors."""
    if not _REFUSED.search(str(error)):
        return ""
    if target not in str(error):
        return f"; log in with `docker login {host(source)}`"
    return "; the stack's login may not push there" if login else f"; log in with `docker login {host(target)}`"


def host(image: str) -> str:
    """Return the host (and port) in an image's or a repository's name; Docker Hub if there is none."""
    first = image.partition("/")[0]
    named = "/" in image and ("." in first or ":" in first or first == "localhost")
    return first if named else DOCKER_HUB


@contextmanager
def _configured(login: Login | None, *names: str) -> Generator[dict[str, str]]:
    """Provide an environment in which regctl has the user's settings, and ``login`` for the last name's registry.

    The settings are in a temporary file that only the user can read, because everyone on the machine can read a
    process's arguments. Registries on loopback are used without TLS, as the Docker Engine does; for others the user
    can disable it (`regctl registry set HOST --tls disabled`).
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
    """Return the user's regctl settings, from the file that regctl reads. Raises RegistryError if that fails."""
    in_home = Path.home() / ".regctl" / "config.json"
    in_config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "regctl" / "config.json"
    named = os.environ.get("REGCTL_CONFIG")
    file = Path(named) if named else in_config if in_config.exists() else in_home
    try:
        return json.loads(file.read_text()) if file.exists() else {}
    except (OSError, ValueError) as error:
        raise RegistryError(f"regctl's settings in {file} cannot be read: {error}") from None


def _is_loopback(registry: str) -> bool:
    name = registry.rpartition(":")[0] if re.search(r":\d+$", registry) else registry
    try:
        return name == "localhost" or ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _run(arguments: list[str], environment: dict[str, str], timeout_seconds: float | None = None) -> str:
    """Run regctl and return its output. Raises ImageNotFound, or RegistryError with regctl's message."""
    command = [TOOL, *arguments, "--verbosity", "error"]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=timeout_seconds
        )
    except FileNotFoundError:
        raise RegistryError(f"{TOOL} is not on PATH; install it ({INSTALL})") from None
    except subprocess.TimeoutExpired:
        raise RegistryError(f"the registry did not answer within {timeout_seconds:g} seconds") from None
    if done.returncode == 0:
        return done.stdout.strip()
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    message = lines[-1] if lines else f"exit code {done.returncode}"
    if _NOT_FOUND.search(done.stderr):
        raise ImageNotFound(message)
    raise RegistryError(message)
