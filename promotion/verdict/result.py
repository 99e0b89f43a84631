"""A verdict and the checks that it consists of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from contract.judging import SourceName
from promotion.state.verdict_record import utc_stamp

Result = Literal["healthy", "unhealthy", "inconclusive"]


@dataclass(frozen=True)
class Estimate:
    """A difference of shares (0 to 1), canary minus stable, and what decides: is its range below ``limit``, or above?

    ``lower`` and ``upper`` end the range; None while there are too few intervals.
    """

    difference: float
    lower: float | None
    upper: float | None
    limit: float


@dataclass(frozen=True)
class Check:
    """One check of the canary.

    ``value`` is what was measured, ``limit`` what is allowed, ``samples`` what was looked at, ``rule`` what the value
    means; ``reason`` is a sentence if the result is not healthy. A comparison of requests has an ``estimate``.
    """

    name: str
    value: str
    limit: str
    samples: str
    rule: str
    result: Result
    reason: str = ""
    estimate: Estimate | None = None


@dataclass(frozen=True)
class Verdict:
    """The outcome of a trial of the image with this ``digest`` (sha256:…)."""

    result: Result
    digest: str
    checks: Sequence[Check]
    began: datetime
    ended: datetime
    chart: str = ""
    notes: Sequence[str] = ()
    """Observations that do not affect the result, such as one bad pod among good ones."""
    source: SourceName | None = None
    """What counted the users' requests; None if nothing did."""

    @property
    def reasons(self) -> list[str]:
        """Why the canary is not healthy: each reason once, after the names of the checks that give it."""
        names: dict[str, list[str]] = {}
        for check in self.checks:
            if check.result == self.result and check.reason:
                names.setdefault(check.reason, []).append(check.name)
        return [f"{', '.join(checks)}: {reason}" for reason, checks in names.items()]

    def as_json(self) -> dict[str, Any]:
        """Return the verdict for scripts; times in UTC."""
        return {
            "result": self.result,
            "digest": self.digest,
            "began": utc_stamp(self.began),
            "ended": utc_stamp(self.ended),
            "source": self.source,
            "reasons": self.reasons,
            "checks": [asdict(check) for check in self.checks],
            "notes": list(self.notes),
        }


def worst(checks: Sequence[Check]) -> Result:
    """Return unhealthy if any check is, healthy if all are, otherwise inconclusive."""
    results = {check.result for check in checks}
    if "unhealthy" in results:
        return "unhealthy"
    return "healthy" if results == {"healthy"} else "inconclusive"
