"""Times in the forms that the provider gives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from lab.plugins.times import FORM, timestamp


def now() -> str:
    """The present, as Go prints a time."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S +0000 UTC")


def expiry(seconds: int) -> str:
    """What comes so many seconds from now."""
    return timestamp(timedelta(seconds=seconds))


def expired(time: str) -> bool:
    """Whether an expiry has passed."""
    return datetime.strptime(time, FORM).replace(tzinfo=UTC) < datetime.now(UTC)
