"""Images that a build or a test begins with, pinned: a tag is resolved to the digest that its registry has now."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from components.registry_client import DOCKER_HUB, host
from pipeline import docker
from pipeline.faults import StepFailed, WrongUse

#: Build argument that names the base image, and the line of a Dockerfile that says its default.
ARGUMENT = "BASE_IMAGE"
DEFAULT = re.compile(rf"^ARG\s+{ARGUMENT}=(\S+)\s*$", re.MULTILINE | re.IGNORECASE)
#: An image's name, its tag and its digest, each of the last two if it has one.
REFERENCE = re.compile(
    r"(?P<name>[a-z0-9][\w.-]*(?::\d+)?(?:/[a-z0-9][\w.-]*)*?)(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True)
class BaseImage:
    """``name`` is spelt out, registry and tag included; ``digest`` is empty where the registry could not tell it."""

    name: str
    digest: str = ""

    @property
    def reference(self) -> str:
        """What is built on or run: by digest, where there is one."""
        return f"{self.name}@{self.digest}" if self.digest else self.name

    @property
    def labels(self) -> dict[str, str]:
        """The OCI's annotations that say what an image is based on."""
        digest = {"org.opencontainers.image.base.digest": self.digest} if self.digest else {}
        return {"org.opencontainers.image.base.name": self.name, **digest}


def default_of(dockerfile: Path) -> str:
    """The base image that a Dockerfile names in `ARG BASE_IMAGE=…`; empty where it has no such line."""
    found = DEFAULT.search(dockerfile.read_text(encoding="utf-8"))
    return found[1].strip("\"'") if found else ""


def parsed(text: str) -> BaseImage:
    """An image's reference with everything that it implies. Raises WrongUse where it is none."""
    match = REFERENCE.fullmatch(text)
    if not match:
        raise WrongUse(
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
    """The image with the digest that its registry has for it now; a digest that is given is kept.

    ``platform`` is the one that is wanted of several, this machine's unless it is named. Where the
    registry can't tell, that is said and the tag is kept: the build then uses what the machine has under it.
    """
    image = parsed(text)
    if not image.digest:
        try:
            image = BaseImage(image.name, docker.pulled_digest(image.name, platform))
        except StepFailed as why:
            print(f"warning: {image.name} is not pinned, its tag is used as it stands: {why}", file=sys.stderr)
    print(f"== {image.reference}", file=sys.stderr, flush=True)
    return image
