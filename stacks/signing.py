"""Refuse images without the signature that `imageVerification` asks for, before anything changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components import signature
from components.signature import SignatureError
from contract.errors import invalid_config
from contract.image import digest_of
from contract.settings import ReleaseSettings
from contract.update import former_stable
from stacks.platform_reference import own_outputs


def refuse_unsigned(release: ReleaseSettings) -> None:
    """Verify the image of each track, except one that runs already or to which stable returns.

    So a roll-back needs neither cosign nor a registry nor a key service.

    Raises pulumi.RunError.
    """
    if not release.image_verification:
        return
    known = {*_running(), former_stable()}
    images = {image for image in release.pinned if digest_of(image) not in known}
    errors = signature.missing_prerequisites(images)
    for image in [] if errors else sorted(images):
        try:
            signature.verify(image, release.image_verification)
        except SignatureError as error:
            errors.append(
                f"{_key(release, image)}: {image} has no valid signature of the signer in imageVerification"
                f" ({error}); name a signed image, or sign this one with `cosign sign`"
            )
    if errors:
        raise invalid_config(errors)


def _key(release: ReleaseSettings, image: str) -> str:
    return "stableImage" if image == release.stable_image else "canaryImage"


def _running() -> set[str]:
    """Return the digests of the images that the last update left running; none if they cannot be read."""
    try:
        tracks: Mapping[str, Any] = own_outputs().get("tracks") or {}
    except Exception:  # the SDK raises nothing narrower; every image is then verified
        return set()
    return {digest_of(str(track["image"])) for track in tracks.values()}
