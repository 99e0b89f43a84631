"""Image references: `registry/path:tag`, as the official plugin wants them, fully qualified."""

from __future__ import annotations

import re

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?P<registry>(?:localhost|[A-Za-z0-9.-]*\.[A-Za-z0-9.-]+|[A-Za-z0-9.-]+(?=:\d)|\[[0-9a-fA-F:]+\])(?::\d+)?)"
    rf"/(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
# What the Docker client calls the registry docker.io in its configuration, for historical reasons.
DOCKER_HUB = "https://index.docker.io/v1/"
_DOCKER_HUB_NAMES = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})


def why_not_qualified(name: str) -> str:
    """Why a name is no fully qualified image reference, in one sentence; "" if it is one."""
    match = _REFERENCE.fullmatch(name)
    if match is None:
        return (
            f"{name!r} is not a fully qualified image name: write registry/repository:tag, for Docker Hub "
            "docker.io/user/repository:tag."
        )
    if match["registry"] in _DOCKER_HUB_NAMES and "/" not in match["path"]:
        return f"{name!r} is not a fully qualified image name: for Docker Hub write docker.io/user/repository:tag."
    return ""


def repository(name: str) -> str:
    """The reference without tag and digest."""
    name = name.partition("@")[0]
    path, colon, tag = name.rpartition(":")
    return path if colon and "/" not in tag else name


def credentials_key(server: str, image: str) -> str:
    """Under which name the Docker client looks for the credentials of this server (or else the image's registry)."""
    host = re.sub(r"^https?://", "", server).partition("/")[0] if server else image.partition("/")[0]
    return DOCKER_HUB if host in _DOCKER_HUB_NAMES else host
