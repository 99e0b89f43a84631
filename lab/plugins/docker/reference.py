"""Image references: fully qualified, as the official plugin requires them."""

from __future__ import annotations

import re

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?P<registry>(?:localhost|[A-Za-z0-9.-]*\.[A-Za-z0-9.-]+|[A-Za-z0-9.-]+(?=:\d)|\[[0-9a-fA-F:]+\])(?::\d+)?)"
    rf"/(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
# The Docker client's configuration has this name for docker.io, for historical reasons.
DOCKER_HUB = "https://index.docker.io/v1/"
_DOCKER_HUB_NAMES = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})


def is_qualified(name: str) -> bool:
    """Return whether the name has a registry, and for Docker Hub also a user."""
    match = _REFERENCE.fullmatch(name)
    return match is not None and (match["registry"] not in _DOCKER_HUB_NAMES or "/" in match["path"])


def repository(name: str) -> str:
    """Return the reference without tag and digest."""
    name = name.partition("@")[0]
    path, colon, tag = name.rpartition(":")
    return path if colon and "/" not in tag else name


def credentials_key(server: str, image: str) -> str:
    """Return the name under which the Docker client looks up the login for the server, or else for the image."""
    host = re.sub(r"^https?://", "", server or image).partition("/")[0]
    return DOCKER_HUB if host in _DOCKER_HUB_NAMES else host
