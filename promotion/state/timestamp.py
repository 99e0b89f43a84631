"""How a moment is written, in stack files and answers alike."""

from __future__ import annotations

from datetime import UTC, datetime


def stamp(moment: datetime | None = None) -> str:
    """A moment in UTC (now, where none is given) by ISO 8601, to the second: ``2026-01-31T12:00:00Z``."""
    return (moment or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
