"""The name of an image's migration. It imports no SDK, because the promotion commands use it too."""

from __future__ import annotations

from contract.image import digest_of

#: Digits of the digest in the name. With the service's name and the engine's suffix they fit into 63 characters.
DIGITS = 6


def migration_name(service: str, configured: str) -> str:
    """Return the resource name of the Job for a configured image, ``REPOSITORY@sha256:DIGEST`` or built from source."""
    digest = digest_of(configured).removeprefix("sha256:")
    return f"{service}-migrate-{digest[:DIGITS] or 'source'}"
