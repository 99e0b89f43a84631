"""What an image's migration is called. No SDK is imported: who only reads an update's report asks, too."""

from __future__ import annotations

#: Digits of the digest in the name; the service's name, this and what the engine adds make 63 characters.
DIGITS = 6


def migration_name(service: str, configured: str) -> str:
    """Name of the Job for what the config says of an image: ``REPOSITORY@sha256:DIGEST``, or built from source."""
    digest = configured.partition("@sha256:")[2]
    return f"{service}-migrate-{digest[:DIGITS] or 'source'}"
