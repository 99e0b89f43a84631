"""The form in which APIs give times: RFC 3339, in UTC, in whole seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

FORM = "%Y-%m-%dT%H:%M:%SZ"


def timestamp(after: timedelta = timedelta()) -> str:
    """The present, or what comes so long after it."""
    return (datetime.now(UTC) + after).strftime(FORM)
