"""Recorded verdicts: the value of `canaryVerdict` in the stack file, in the stack's updates and in Git."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

#: Result in `canaryVerdict` after a person rolled an image back.
REJECTED = "rejected"
_FORM = re.compile(
    r"^(?P<result>[a-z]+) (?P<digest>sha256:[0-9a-f]{64}) (?P<time>\S+)"
    r"(?: stable=(?P<stable>sha256:[0-9a-f]{64}) settings=(?P<settings>[0-9a-f]{12}))?$"
)


@dataclass(frozen=True)
class VerdictRecord:
    """``result`` (healthy, unhealthy, inconclusive or rejected) of ``digest`` at ``time`` (ISO 8601).

    ``stable`` is the digest that the canary was compared with, ``settings`` the fingerprint of both tracks' settings
    (`StackState.settings`). Both are "" in a rejection, and in records from before 0.9.
    """

    result: str
    digest: str
    time: str
    stable: str = ""
    settings: str = ""

    @classmethod
    def parse(cls, text: str) -> VerdictRecord | None:
        """Parse a value of `canaryVerdict`; None if it is unset or malformed."""
        match = _FORM.match(text.strip())
        return cls(**{name: value or "" for name, value in match.groupdict().items()}) if match else None

    @property
    def moment(self) -> datetime:
        """The time in UTC; the earliest time of all if it is malformed."""
        try:
            moment = datetime.fromisoformat(self.time)
        except ValueError:
            return datetime.min.replace(tzinfo=UTC)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

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
        compared = f" stable={self.stable} settings={self.settings}" if self.stable and self.settings else ""
        return f"{self.result} {self.digest} {self.time}{compared}"


def last_verdict(digest: str, verdicts: Iterable[str]) -> VerdictRecord | None:
    """Return the digest's last conclusive verdict, by the records' own times; None if it has none.

    ``verdicts`` are values of `canaryVerdict`. Their order says nothing: `git revert` brings an old one back. Of two
    at the same second, the one against the image counts.
    """
    records = [record for record in map(VerdictRecord.parse, verdicts) if record and record.digest == digest]
    conclusive = [record for record in records if record.result != "inconclusive"]
    return max(conclusive, key=lambda record: (record.moment, record.is_against), default=None)


def verdict_against(digest: str, verdicts: Iterable[str]) -> VerdictRecord | None:
    """Return the digest's last conclusive verdict if it is against the image; None otherwise."""
    record = last_verdict(digest, verdicts)
    return record if record and record.is_against else None


def utc_stamp(moment: datetime | None = None) -> str:
    """Return a moment (default: now) in UTC as ISO 8601, to the second: ``2026-01-31T12:00:00Z``."""
    return (moment or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
