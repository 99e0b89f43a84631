"""Pin base images: resolve a tag to the digest that its registry has now."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from components.registry_client import DOCKER_HUB, host
from pipeline import docker
from pipeline.errors import StepError, UsageError

#: Build argument that names the base image, and the Dockerfile line that sets its default.
ARGUMENT = "BASE_IMAGE"
DEFAULT = re.compile(rf"^ARG\s+{ARGUMENT}=(\S+)\s*$", re.MULTILINE | re.IGNORECASE)
#: Annotation with the base image's digest (OCI image specification).
DIGEST_LABEL = "org.opencontainers.image.base.digest"
#: Tag of the last pushed image, for the next build's cache; no stack runs it.
CACHE_TAG = "cache"
#: An image's name with an optional tag and an optional digest.
REFERENCE = re.compile(
    r"(?P<name>[a-z0-9][\w.-]*(?::\d+)?(?:/[a-z0-9][\w.-]*)*?)(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True)
class BaseImage:
    """``name`` includes registry and tag; ``digest`` is empty if the registry could not be asked."""

    name: str
    digest: str = ""

    @property
    def reference(self) -> str:
        """The image to build on or run: by digest if there is one."""
        return f"{self.name}@{self.digest}" if self.digest else self.name

    @property
    def labels(self) -> dict[str, str]:
        """OCI annotations that record the base image."""
        digest = {DIGEST_LABEL: self.digest} if self.digest else {}
        return {"org.opencontainers.image.base.name": self.name, **digest}


def default_of(dockerfile: Path) -> str:
    """Return the base image of a Dockerfile's `ARG BASE_IMAGE=…`; empty if it has no such line."""
    match = DEFAULT.search(dockerfile.read_text(encoding="utf-8"))
    return match[1].strip("\"'") if match else ""


def parsed(text: str) -> BaseImage:
    """Return an image reference with its implied registry and tag spelled out. Raises UsageError if it is invalid."""
    match = REFERENCE.fullmatch(text)
    if not match:
        raise UsageError(
            f"--base-image {text}: write NAME:TAG or NAME@sha256:DIGEST, the digest of 64 hexadecimal digits"
        )
    name, tag, digest = match["name"], match["tag"] or "", match["digest"] or ""
    registry = host(name)
    path = name if registry == DOCKER_HUB else name.partition("/")[2]
    if registry == DOCKER_HUB:
        path = path.removeprefix(f"{DOCKER_HUB}/")
        path = path if "/" in path else f"library/{path}"
    tag = tag or ("" if digest else "latest")
    return BaseImage(f"{registry}/{path}{':' if tag else ''}{tag}", digest)


def pinned(text: str, platform: str = "") -> BaseImage:
    """Return the image with the digest that its registry has now, or the digest that it names already.

    ``platform`` selects one of several; default is this machine's. If the registry cannot be asked, print a warning and
    keep the tag: the build then uses the local image of that name.
    """
    image = parsed(text)
    if not image.digest:
        try:
            image = BaseImage(image.name, docker.pulled_digest(image.name, platform))
        except StepError as error:
            print(f"warning: {image.name} is not pinned and is used by its tag: {error}", file=sys.stderr)
    print(f"== {image.reference}", file=sys.stderr, flush=True)
    return image


@dataclass(frozen=True)
class Renewal:
    """The base image now, and the digest of the base that the last pushed image was built on.

    ``pushed`` is "" if that image does not say, and None if no image was pushed yet.
    """

    base: str
    pushed: str | None

    @property
    def is_due(self) -> bool:
        """Whether an image was pushed, and was built on another base."""
        return self.pushed is not None and not self.base.endswith(f"@{self.pushed}")


def renewal(dockerfile: Path, repository: str, platform: str) -> Renewal:
    """Compare the base image with that of the last pushed image.

    Raises UsageError if the Dockerfile names no base image, and StepError if a registry does not answer.
    """
    name = default_of(dockerfile) if dockerfile.is_file() else ""
    if not name:
        raise UsageError(f"{dockerfile}: no such file, or no line `ARG {ARGUMENT}=NAME:TAG` in it")
    base = parsed(name)
    digest = base.digest or docker.pulled_digest(base.name, platform)
    return Renewal(f"{base.name}@{digest}", docker.pulled_label(f"{repository}:{CACHE_TAG}", DIGEST_LABEL))
