"""Times in the forms that the provider gives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EXPIRY_FORM = "%Y-%m-%dT%H:%M:%SZ"


def now() -> str:
    """The present, as Go prints a time."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S +0000 UTC")


def expiry(seconds: int) -> str:
    """RFC 3339, so many seconds from now."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime(EXPIRY_FORM)


def expired(time: str) -> bool:
    """Whether an expiry has passed."""
    return datetime.strptime(time, EXPIRY_FORM).replace(tzinfo=UTC) < datetime.now(UTC)
