"""A container image, named by its digest: ``REPOSITORY@sha256:DIGEST``."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: An image by digest; a tag before the @ is allowed and dropped (OCI distribution specification).
_BY_DIGEST = re.compile(r"(?P<repository>[^\s@]+?)(:[\w][\w.-]{0,127})?@(?P<digest>sha256:[0-9a-f]{64})")
#: A digest, with the repository before it if there is one.
_REFERENCE = re.compile(r"(?:[^\s@]+@)?(sha256:[0-9a-f]{12})[0-9a-f]{52}")


@dataclass(frozen=True)
class Image:
    """An image by digest. ``str(image)`` is ``REPOSITORY@sha256:DIGEST``."""

    repository: str
    digest: str

    @classmethod
    def parse(cls, text: str) -> Image | None:
        """Return the image that ``text`` names by digest; None if it is empty, a tag, or anything else."""
        match = _BY_DIGEST.fullmatch(text)
        return cls(match["repository"], match["digest"]) if match else None

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest}"


def digest_of(image: str) -> str:
    """Return an image's digest, ``sha256:…``; "" if the text names no digest, such as an unset config key."""
    return image.partition("@")[2]


def repository_of(image: str) -> str:
    """Return an image's name without its digest."""
    return image.partition("@")[0]


def short(text: str) -> str:
    """Shorten every image and digest in ``text`` to ``sha256:`` and 12 digits."""
    return _REFERENCE.sub(r"\1", text)
