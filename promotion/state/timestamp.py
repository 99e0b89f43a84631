"""Timestamps as stack files and JSON documents have them."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_stamp(moment: datetime | None = None) -> str:
    """Return a moment (default: now) in UTC as ISO 8601, to the second: ``2026-01-31T12:00:00Z``."""
    return (moment or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
