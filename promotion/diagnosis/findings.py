"""Findings: a cause, the objects that it affects, and the remedy; as text and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from promotion.diagnosis.rules import Reason
from promotion.state.cluster.pods import Document, labels, name

#: Characters of a line that is wrapped here; messages of Kubernetes stay as they are.
WIDTH = 110
#: Objects that are named; the others are counted.
NAMED = 4


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, on one or several objects.

    ``cause`` is an identifier for scripts, ``what`` and ``remedy`` are sentences. ``objects`` are names such as "Pod
    addressbook-canary-5488c9c597-v8jlj", ``tracks`` their tracks. ``evidence`` is from Kubernetes, ``log`` the last
    lines of ``log_of``, both without secrets. A ``notice`` is worth knowing, but nothing is broken.
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

    @classmethod
    def about(cls, kind: str, thing: Document, reason: Reason, *evidence: str) -> Finding:
        """Return a finding about one object; its track is that of the object's labels."""
        track = labels(thing).get("track")
        lines = tuple(dict.fromkeys(line for line in evidence if line))
        return cls(*reason, (f"{kind} {name(thing)}",), (track,) if track else (), lines)


def grouped(findings: Iterable[Finding]) -> list[Finding]:
    """Merge findings with the same cause and sentence; notices come last."""
    groups: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        key = finding.cause, finding.what
        groups[key] = _merged(groups[key], finding) if key in groups else finding
    return sorted(groups.values(), key=lambda finding: finding.notice)


def _merged(one: Finding, other: Finding) -> Finding:
    return replace(
        one,
        objects=tuple(dict.fromkeys([*one.objects, *other.objects])),
        tracks=tuple(dict.fromkeys([*one.tracks, *other.tracks])),
        evidence=one.evidence or other.evidence,
        log=one.log or other.log,
        log_of=one.log_of if one.log else other.log_of,
        notice=one.notice and other.notice,
    )


def diagnosis_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    return [asdict(finding) for finding in findings]


def diagnosis_text(findings: Sequence[Finding]) -> str:
    """Return a block for each finding: what, where, remedy, evidence, and the last log lines."""
    if not findings:
        return "Nothing is wrong: the release's pods, Jobs, Services and volumes are as they should be."
    return "\n\n".join(_block(finding) for finding in findings)


def _block(finding: Finding) -> str:
    lines = [
        *_wrapped(f"{'·' if finding.notice else '✗'} ", f"{finding.cause}: {finding.what}"),
        *_wrapped("  where     ", _where(finding)),
        *_wrapped("  remedy    ", finding.remedy),
    ]
    for number, line in enumerate(finding.evidence):
        lines.append(f"  {'evidence' if not number else '':<9} {line}")
    if finding.log_of:
        lines.append(f"  log       last lines of {finding.log_of}{'' if finding.log else ': empty'}")
    lines += [f"            | {line}" for line in finding.log]
    return "\n".join(lines)


def _where(finding: Finding) -> str:
    named = ", ".join(finding.objects[:NAMED])
    more = len(finding.objects) - NAMED
    tracks = f" ({', '.join(finding.tracks)})" if finding.tracks else ""
    return f"{named}{f' and {more} more' if more > 0 else ''}{tracks}"


def _wrapped(first: str, text: str) -> list[str]:
    indent = " " * len(first)
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
