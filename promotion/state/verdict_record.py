"""Verdicts on record: what was said of a digest, in the stack file, the stack's updates and Git."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from promotion.state.timestamp import stamp

#: What stands in `canaryVerdict` when a person takes back an image.
REJECTED = "rejected"
_FORM = re.compile(r"^(?P<result>[a-z]+) (?P<digest>sha256:[0-9a-f]{64}) (?P<time>\S+)$")


@dataclass(frozen=True)
class Record:
    """``result`` (healthy, unhealthy, inconclusive or rejected) of ``digest`` at ``time`` (ISO 8601)."""

    result: str
    digest: str
    time: str

    @property
    def against(self) -> bool:
        """Whether it speaks against the image."""
        return self.result in ("unhealthy", REJECTED)

    @property
    def words(self) -> str:
        """``was found unhealthy at TIME``, ``was rejected at TIME``"""
        return f"was {'' if self.result == REJECTED else 'found '}{self.result} at {self.time}"

    def __str__(self) -> str:
        return f"{self.result} {self.digest} {self.time}"


def record(text: str) -> Record | None:
    """A value of `canaryVerdict`; None where it is unset or has another form."""
    match = _FORM.match(text.strip())
    return Record(match["result"], match["digest"], match["time"]) if match else None


def rejection(digest: str) -> Record:
    """A person's decision, now."""
    return Record(REJECTED, digest, stamp())


def against(digest: str, verdicts: Iterable[str]) -> Record | None:
    """The record that speaks against the digest, if the last one that decides does.

    ``verdicts`` are values that `canaryVerdict` has had, newest first.
    """
    for found in map(record, verdicts):
        if found and found.digest == digest and (found.against or found.result == "healthy"):
            return found if found.against else None
    return None
