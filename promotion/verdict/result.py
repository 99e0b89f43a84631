"""What a verdict is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from promotion.state.timestamp import utc_stamp
from promotion.state.verdict_record import VerdictRecord

Result = Literal["healthy", "unhealthy", "inconclusive"]


@dataclass(frozen=True)
class Check:
    """One question to the canary, and its answer.

    ``value`` is what was found, ``limit`` what is allowed, ``samples`` what was looked at, ``rule`` what the value is;
    ``reason`` is a sentence where the result is not healthy.
    """

    name: str
    value: str
    limit: str
    samples: str
    rule: str
    result: Result
    reason: str = ""


@dataclass(frozen=True)
class Verdict:
    """The answer of a trial: ``digest`` (sha256:…) is the image it is about."""

    result: Result
    digest: str
    checks: Sequence[Check]
    began: datetime
    ended: datetime
    chart: str = ""

    @property
    def recorded(self) -> str:
        """What goes into the config key ``canaryVerdict``."""
        return str(VerdictRecord(self.result, self.digest, utc_stamp(self.ended)))

    @property
    def reasons(self) -> list[str]:
        """Why it is not healthy: a sentence for each reason, and the checks that it decided."""
        names: dict[str, list[str]] = {}
        for check in self.checks:
            if check.result == self.result and check.reason:
                names.setdefault(check.reason, []).append(check.name)
        return [f"{', '.join(checks)}: {reason}" for reason, checks in names.items()]

    def as_json(self) -> dict[str, Any]:
        """For machines; times in UTC."""
        return {
            "result": self.result,
            "digest": self.digest,
            "began": utc_stamp(self.began),
            "ended": utc_stamp(self.ended),
            "reasons": self.reasons,
            "checks": [asdict(check) for check in self.checks],
        }


def worst(checks: Sequence[Check]) -> Result:
    """Unhealthy if any check is; healthy only if all are."""
    results = {check.result for check in checks}
    if "unhealthy" in results:
        return "unhealthy"
    return "healthy" if results == {"healthy"} else "inconclusive"
