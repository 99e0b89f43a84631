"""The versions of Kubernetes and PostgreSQL that AWS offers, their support, and what can be upgraded to what."""

from __future__ import annotations

from collections.abc import Mapping

#: Versions of EKS and the end of their standard support (EKS user guide, release calendar; of 1.37: 14 months after its
#: release). Extended support is a year longer.
KUBERNETES: Mapping[str, str] = {"1.34": "2026-12-02", "1.35": "2027-03-27", "1.36": "2027-08-02", "1.37": "2027-12-01"}
#: Version that EKS gives a cluster without one.
DEFAULT_KUBERNETES = "1.37"
#: Minor versions of PostgreSQL that RDS offers, by major version.
POSTGRES: Mapping[str, range] = {"15": range(10, 15), "16": range(6, 11), "17": range(2, 7), "18": range(1, 3)}
#: RDS' default minor version for a major one. As on some days of the real RDS, 16's is older than what 15's becomes.
DEFAULTS: Mapping[str, str] = {"15": "15.13", "16": "16.8", "17": "17.5", "18": "18.1"}
DEFAULT_POSTGRES = "17"


def actual(version: str) -> str:
    """Return the full version of PostgreSQL that RDS runs for a version in a request."""
    return DEFAULTS.get(version, version)


def offered(version: str) -> bool:
    """Return whether RDS offers a full version of PostgreSQL."""
    major, _, minor = version.partition(".")
    return minor.isdigit() and int(minor) in POSTGRES.get(major, ())


def targets(version: str) -> list[str]:
    """Return what a full version can be upgraded to: newer ones of its major version, others that are no older."""
    every = [f"{major}.{minor}" for major, minors in POSTGRES.items() for minor in minors]
    same = [each for each in every if _major(each) == _major(version) and _release(each) > _release(version)]
    return same + [each for each in every if _major(each) > _major(version) and _release(each) >= _release(version)]


def _major(version: str) -> int:
    return int(version.partition(".")[0])


def _release(version: str) -> int:
    """Return the number of the quarterly release, which PostgreSQL's major versions share: 15.12, 16.8, 17.4, 18.0."""
    return int(version.partition(".")[2]) + 4 * (_major(version) - 15)
