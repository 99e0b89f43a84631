"""Times in the forms that the clouds' APIs use, always in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_RFC_3339 = "%Y-%m-%dT%H:%M:%SZ"


def timestamp(after: timedelta = timedelta()) -> str:
    """Return the present, or a later time, in RFC 3339 and whole seconds."""
    return (datetime.now(UTC) + after).strftime(_RFC_3339)


def milliseconds(time: datetime | None = None) -> str:
    """Return a time (the present by default) in RFC 3339 with milliseconds, as Google writes it."""
    return (time or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def go_time() -> str:
    """Return the present as Go prints a time."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S +0000 UTC")


def has_passed(time: str) -> bool:
    """Return whether a `timestamp` lies in the past."""
    return datetime.strptime(time, _RFC_3339).replace(tzinfo=UTC) < datetime.now(UTC)
