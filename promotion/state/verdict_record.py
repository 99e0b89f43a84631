"""Recorded verdicts: the value of `canaryVerdict` in the stack file, in the stack's updates and in Git."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

#: Result in `canaryVerdict` after a person rolled an image back.
REJECTED = "rejected"
_FORM = re.compile(r"^(?P<result>[a-z]+) (?P<digest>sha256:[0-9a-f]{64}) (?P<time>\S+)$")


@dataclass(frozen=True)
class VerdictRecord:
    """``result`` (healthy, unhealthy, inconclusive or rejected) of ``digest`` at ``time`` (ISO 8601)."""

    result: str
    digest: str
    time: str

    @classmethod
    def parse(cls, text: str) -> VerdictRecord | None:
        """Parse a value of `canaryVerdict`; None if it is unset or malformed."""
        match = _FORM.match(text.strip())
        return cls(match["result"], match["digest"], match["time"]) if match else None

    @classmethod
    def rejection(cls, digest: str) -> VerdictRecord:
        """Return the record of a rejection by a person, dated now."""
        return cls(REJECTED, digest, utc_stamp())

    @property
    def is_against(self) -> bool:
        """Whether the image must not go on trial again."""
        return self.result in ("unhealthy", REJECTED)

    @property
    def sentence(self) -> str:
        """End of a sentence: ``was judged unhealthy at TIME`` or ``was rejected at TIME``."""
        return f"was {'' if self.result == REJECTED else 'judged '}{self.result} at {self.time}"

    def __str__(self) -> str:
        return f"{self.result} {self.digest} {self.time}"


def verdict_against(digest: str, verdicts: Iterable[str]) -> VerdictRecord | None:
    """Return the digest's last conclusive verdict if it is against the image; None otherwise.

    ``verdicts`` are past values of `canaryVerdict`, newest first.
    """
    for verdict in map(VerdictRecord.parse, verdicts):
        if verdict and verdict.digest == digest and verdict.result != "inconclusive":
            return verdict if verdict.is_against else None
    return None


def utc_stamp(moment: datetime | None = None) -> str:
    """Return a moment (default: now) in UTC as ISO 8601, to the second: ``2026-01-31T12:00:00Z``."""
    return (moment or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
