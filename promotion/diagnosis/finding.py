"""A finding: one cause, all the objects that suffer from it, and what mends it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Finding:
    """What is wrong, seen on one object or on several that suffer alike.

    ``cause`` is a word for scripts that stays the same; ``what`` and ``remedy`` are sentences; ``objects`` are such as
    "Pod addressbook-canary-5488c9c597-v8jlj", ``tracks`` theirs. ``evidence`` is what Kubernetes said, ``log`` the last
    lines of ``log_of``, neither with secrets in them. A ``notice`` is worth knowing and nothing is down by it.
    """

    cause: str
    what: str
    remedy: str
    objects: tuple[str, ...]
    tracks: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    log: tuple[str, ...] = ()
    log_of: str = ""
    notice: bool = False


def grouped(findings: Iterable[Finding]) -> list[Finding]:
    """One finding for each cause and sentence, with the objects of all; what is only worth a notice comes last."""
    groups: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        key = finding.cause, finding.what
        known = groups.get(key)
        groups[key] = finding if known is None else _both(known, finding)
    return sorted(groups.values(), key=lambda finding: finding.notice)


def _both(one: Finding, other: Finding) -> Finding:
    return replace(
        one,
        objects=tuple(dict.fromkeys([*one.objects, *other.objects])),
        tracks=tuple(dict.fromkeys([*one.tracks, *other.tracks])),
        evidence=one.evidence or other.evidence,
        log=one.log or other.log,
        log_of=one.log_of if one.log else other.log_of,
        notice=one.notice and other.notice,
    )
