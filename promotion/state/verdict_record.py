"""Recorded verdicts: the value of `canaryVerdict` in the stack file, in the stack's updates and in Git."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from contract.settings import CanaryKeys

#: Result in `canaryVerdict` after a person rolled an image back.
REJECTED = "rejected"
#: Result in `canaryVerdict` after a person forced a rejected image onto another trial.
RETRIED = "retried"
_FORM = re.compile(
    r"^(?P<result>[a-z]+) (?P<digest>sha256:[0-9a-f]{64}) (?P<time>\S+)"
    r"(?: stable=(?P<stable>sha256:[0-9a-f]{64}) settings=(?P<settings>[0-9a-f]{12}))?"
    r"(?: trial=(?P<trial>[0-9a-f]{12}))?$"
)


@dataclass(frozen=True)
class VerdictRecord:
    """``result`` (healthy, unhealthy, inconclusive, rejected or retried) of ``digest`` at ``time`` (ISO 8601).

    ``stable`` is the digest that the canary was compared with, ``settings`` the fingerprint of both tracks' settings
    (`StackState.settings`). Both are "" if a person decided, and in records from before 0.9. ``trial`` is the
    fingerprint of the settings that were on trial with the image (`trial_fingerprint`); "" if none were.
    """

    result: str
    digest: str
    time: str
    stable: str = ""
    settings: str = ""
    trial: str = ""

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
    def rejection(cls, digest: str, trial: str = "") -> VerdictRecord:
        """Return the record of a rejection by a person, dated now."""
        return cls(REJECTED, digest, utc_stamp(), trial=trial)

    @classmethod
    def retry(cls, digest: str, trial: str = "") -> VerdictRecord:
        """Return the record of a person's decision, dated now, to try a rejected image again."""
        return cls(RETRIED, digest, utc_stamp(), trial=trial)

    @property
    def is_against(self) -> bool:
        """Whether the image must not go on trial again."""
        return self.result in ("unhealthy", REJECTED)

    @property
    def sentence(self) -> str:
        """End of a sentence: ``was judged unhealthy at TIME`` or ``was rejected at TIME``."""
        by_a_person = self.result in (REJECTED, RETRIED)
        return f"was {'' if by_a_person else 'judged '}{self.result} at {self.time}"

    def __str__(self) -> str:
        compared = f" stable={self.stable} settings={self.settings}" if self.stable and self.settings else ""
        trial = f" trial={self.trial}" if self.trial else ""
        return f"{self.result} {self.digest} {self.time}{compared}{trial}"

    def is_about(self, digest: str, trial: str) -> bool:
        """Whether the record says something about an image with the settings of a trial.

        Settings that failed on trial say nothing about their image without them.
        """
        return self.digest == digest and self.trial in ("", trial)


def trial_fingerprint(config: Mapping[str, Any]) -> str:
    """Return 12 hex digits that identify the settings on trial in a decoded config; "" if there are none.

    A secret counts by its ciphertext, so that one that is set again is another.
    """
    settings = {key: config[key] for key in sorted(CanaryKeys.key_names()) if config.get(key)}
    return fingerprint(json.dumps(settings, sort_keys=True)) if settings else ""


def fingerprint(text: str) -> str:
    """Return 12 hex digits of a text's SHA-256: no accidental collisions, and short enough for one line of YAML."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def last_verdict(digest: str, verdicts: Iterable[str], trial: str = "") -> VerdictRecord | None:
    """Return the last conclusive verdict on an image with the settings of a trial; None if there is none.

    ``verdicts`` are values of `canaryVerdict`. Their own times decide, since `git revert` brings an old one back. Of
    two at the same second, the one against the image counts.
    """
    records = [record for record in map(VerdictRecord.parse, verdicts) if record and record.is_about(digest, trial)]
    conclusive = [record for record in records if record.result != "inconclusive"]
    return max(conclusive, key=lambda record: (record.moment, record.is_against), default=None)


def verdict_against(digest: str, verdicts: Iterable[str], trial: str = "") -> VerdictRecord | None:
    """Return the last conclusive verdict on an image with the settings of a trial if it is against it, else None."""
    record = last_verdict(digest, verdicts, trial)
    return record if record and record.is_against else None


def utc_stamp(moment: datetime | None = None) -> str:
    """Return a moment (default: now) in UTC as ISO 8601, to the second: ``2026-01-31T12:00:00Z``."""
    return (moment or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
