"""What is wrong in a release, why, and what mends it: one block for each cause."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from promotion.diagnosis.endpoints import silent_services, waiting_addresses, waiting_claims
from promotion.diagnosis.finding import Finding, grouped
from promotion.diagnosis.masking import mask_of
from promotion.diagnosis.pods import is_ready, pod_findings
from promotion.diagnosis.questions import SHOWN_LINES, Questions, is_error
from promotion.diagnosis.snapshot import Document, Snapshot, labels, name, take, tracks
from promotion.diagnosis.workloads import failed_jobs, refused_pods, stalled_rollouts
from promotion.errors import CommandError
from promotion.state.cluster.cluster import Cluster, Track

#: Characters of a line that is made here; what Kubernetes said is left as it is.
WIDTH = 110
#: Cause of a claim and of the pods that wait for it; told once.
VOLUME_PENDING = "volume-claim-pending"
#: Objects that are named one by one.
NAMED = 4

__all__ = ["Finding", "diagnose", "diagnosis_json", "diagnosis_text", "examine"]


def diagnose(cluster: Cluster, track: Track | None = None) -> list[Finding]:
    """Every cause of trouble in the namespace, the worst first; of one track and what both share, if it is named.

    Raises CommandError when the API server does not answer. Neither evidence nor log lines hold secrets.
    """
    snapshot = take(cluster)
    try:
        return examine(snapshot, Questions(cluster, mask_of(cluster, snapshot)), track)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        # An object of a form that no rule expects must not keep a canary from being taken back.
        raise CommandError(
            f"the diagnosis failed on what is in namespace {cluster.namespace} ({type(error).__name__}: {error}), which"
            " is a defect of this program; `kubectl describe` and `kubectl get events` show what is there"
        ) from error


def examine(snapshot: Snapshot, questions: Questions, track: Track | None = None) -> list[Finding]:
    """The findings in what was read, asking pods for their logs where that helps."""
    # What others depend on comes first: a pod that cannot reach the database is explained by the database.
    pods = sorted(snapshot.pods, key=lambda pod: labels(pod).get("app") == snapshot.service)
    claims = waiting_claims(snapshot)
    waiting = {each for finding in claims for each in finding.objects}
    ill = pod_findings(snapshot, questions, pods)
    found = [*claims, *(each for each in ill if each.cause != VOLUME_PENDING or not waiting.issuperset(each.objects))]
    found += [*refused_pods(snapshot), *failed_jobs(snapshot, questions)]
    found += [*stalled_rollouts(snapshot, found), *silent_services(snapshot), *waiting_addresses(snapshot)]
    found += _logged_errors(snapshot, questions, found)
    chosen = [finding for finding in found if track is None or not finding.tracks or track in finding.tracks]
    return grouped(chosen)


def _logged_errors(snapshot: Snapshot, questions: Questions, known: Iterable[Finding]) -> list[Finding]:
    """Errors in the logs of pods that are otherwise well: one pod of each track is read."""
    told = {each for finding in known for each in finding.objects}
    found: list[Finding] = []
    read: set[tuple[str, ...]] = set()
    for pod in snapshot.selected({"app": snapshot.service}):
        if tracks(pod) in read or not is_ready(pod) or f"Pod {name(pod)}" in told:
            continue
        read.add(tracks(pod))
        found += _errors_in(pod, questions)
    return found


def _errors_in(pod: Document, questions: Questions) -> list[Finding]:
    container = pod["spec"]["containers"][0]["name"]
    errors = [line for line in questions.log(pod, container, False) if is_error(line)]
    if not errors:
        return []
    return [
        Finding(
            "errors-in-log",
            f"the {' '.join(tracks(pod))} pods are ready, and their log tells of errors",
            "the lines say what; if they are this version's fault, roll it back",
            (f"Pod {name(pod)}",),
            tracks(pod),
            log=tuple(errors[-SHOWN_LINES:]),
            log_of=f"{name(pod)}, container {container}",
            notice=True,
        )
    ]


def diagnosis_text(findings: Sequence[Finding]) -> str:
    """A block for each cause: what, where, remedy, what Kubernetes said, and the last log lines."""
    if not findings:
        return "Nothing wrong is to be seen: pods, Jobs, Services and volumes of the release are as they should be."
    return "\n\n".join(_block(finding) for finding in findings)


def diagnosis_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """The findings for scripts."""
    return [asdict(finding) for finding in findings]


def _block(finding: Finding) -> str:
    lines = [
        *_wrapped(f"{'·' if finding.notice else '✗'} ", f"{finding.cause}: {finding.what}"),
        *_wrapped("  where     ", _where(finding)),
        *_wrapped("  remedy    ", finding.remedy),
    ]
    for number, line in enumerate(finding.evidence):
        lines.append(f"  {'evidence' if not number else '':<9} {line}")
    if finding.log_of:
        lines.append(f"  log       last lines of {finding.log_of}{'' if finding.log else ': it wrote none'}")
    lines += [f"            | {line}" for line in finding.log]
    return "\n".join(lines)


def _where(finding: Finding) -> str:
    named = ", ".join(finding.objects[:NAMED])
    more = len(finding.objects) - NAMED
    tracks_named = f" ({', '.join(finding.tracks)})" if finding.tracks else ""
    return f"{named}{f' and {more} more' if more > 0 else ''}{tracks_named}"


def _wrapped(first: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )
