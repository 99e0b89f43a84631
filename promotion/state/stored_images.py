"""The images in a stack's repository that this program put there, read and deleted with the user's own login."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from components import registry_client
from components.image_copy import RELEASE_TAG
from components.registry_client import ImageNotFound, RegistryError
from promotion.errors import CommandError

#: Tags that the program makes: of builds (components/source.py) and of images that a track ran (image_copy.py).
OWN_TAG = re.compile(rf"(src|{RELEASE_TAG.rstrip('-')})-[0-9a-f]{{12}}")
#: Tags under which cosign stores what belongs to an image.
ATTACHED_TAG = re.compile(r"sha256-([0-9a-f]{64})\.(sig|att|sbom)")
#: Requests at the same time.
PARALLEL = 8


@dataclass(frozen=True)
class StoredImage:
    """An image in the repository, with all its tags."""

    digest: str
    tags: tuple[str, ...]

    @property
    def is_own(self) -> bool:
        """Whether only this program tagged it. Anything else may belong to other tools."""
        return all(OWN_TAG.fullmatch(tag) for tag in self.tags)

    @property
    def subject(self) -> str:
        """Digest of the image that it is a signature, attestation or SBOM of; "" for anything else."""
        attached = [match for tag in self.tags if (match := ATTACHED_TAG.fullmatch(tag))]
        return f"sha256:{attached[0][1]}" if attached and len(attached) == len(self.tags) else ""


def stored_images(repository: str) -> list[StoredImage]:
    """Return the repository's tagged images, sorted by their first tag. Raises CommandError.

    Untagged ones are left out: they may be a platform's part of an image in use.
    """

    def digest(tag: str) -> str:
        try:
            return registry_client.digest(f"{repository}:{tag}")
        except ImageNotFound:  # deleted meanwhile
            return ""

    by_digest: dict[str, list[str]] = {}
    try:
        tags = sorted(registry_client.tags(repository))
        with ThreadPoolExecutor(PARALLEL) as pool:
            for tag, found in zip(tags, pool.map(digest, tags), strict=True):
                by_digest.setdefault(found, []).append(tag)
    except RegistryError as error:
        raise _explained(repository, "read", error) from None
    by_digest.pop("", None)
    return [StoredImage(digest, tuple(tags)) for digest, tags in by_digest.items()]


def delete(repository: str, images: Sequence[StoredImage]) -> None:
    """Delete the images one after the other. Raises CommandError at the first that the registry keeps."""
    for image in images:
        try:
            registry_client.delete(repository, image.digest, image.tags)
        except RegistryError as error:
            raise _explained(f"{repository}@{image.digest}", "deleted", error) from None


def _explained(what: str, verb: str, error: RegistryError) -> CommandError:
    remedy = registry_client.remedy(error, what, what, None) or "; run the command again once the cause is removed"
    return CommandError(f"{what} cannot be {verb}: {error}{remedy}")
