"""What is wrong in a release, why, and the remedy: one finding for each cause."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from promotion.diagnosis.findings import Finding, diagnosis_json, diagnosis_text, grouped
from promotion.diagnosis.masking import mask_of
from promotion.diagnosis.pods import pod_findings
from promotion.diagnosis.rules import explain
from promotion.diagnosis.snapshot import SHOWN_LINES, PodReader, Snapshot, take_snapshot
from promotion.diagnosis.workloads import (
    failed_jobs,
    refused_pods,
    silent_services,
    stalled_rollouts,
    unassigned_addresses,
    unbound_claims,
    unprogrammed_gateways,
)
from promotion.errors import CommandError
from promotion.state.cluster.cluster import Cluster, Track
from promotion.state.cluster.pods import labels

__all__ = ["Finding", "diagnose", "diagnosis_json", "diagnosis_text", "examine"]


def diagnose(cluster: Cluster, track: Track | None = None) -> list[Finding]:
    """Return all findings in the namespace, notices last; with ``track``, only that track's and the shared ones.

    Raises CommandError if the API server does not answer. Neither evidence nor log lines contain secrets.
    """
    snapshot = take_snapshot(cluster)
    try:
        return examine(snapshot, PodReader(cluster, mask_of(cluster, snapshot.pods)), track)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        # An object of an unexpected form must not keep a canary from being rolled back.
        raise CommandError(
            f"the diagnosis of namespace {cluster.namespace} failed, which is a bug in this program"
            f" ({type(error).__name__}: {error}). Use `kubectl describe` and `kubectl get events` instead"
        ) from error


def examine(snapshot: Snapshot, reader: PodReader, track: Track | None = None) -> list[Finding]:
    """Return the findings in a snapshot; logs are read only where they help."""
    # Dependencies first: if the database is down, that explains the pods that cannot reach it.
    pods = sorted(snapshot.pods, key=lambda pod: labels(pod.document).get("app") == snapshot.service)
    claims = unbound_claims(snapshot)
    waiting = {each for finding in claims for each in finding.objects}
    broken = [
        each
        for each in pod_findings(snapshot, reader, pods)
        if each.cause != "volume-claim-pending" or not waiting.issuperset(each.objects)
    ]
    findings = [*claims, *broken, *refused_pods(snapshot), *failed_jobs(snapshot, reader)]
    findings += [
        *stalled_rollouts(snapshot, findings),
        *silent_services(snapshot),
        *unassigned_addresses(snapshot),
        *unprogrammed_gateways(snapshot),
        *_errors_in_logs(snapshot, reader, findings),
        *_unread_lists(snapshot),
    ]
    return grouped(each for each in findings if track is None or not each.tracks or track in each.tracks)


def _unread_lists(snapshot: Snapshot) -> list[Finding]:
    """Report what the diagnosis could not see."""
    return [
        Finding(
            "unread",
            f"could not list {kind.replace('_', ' ')}: {reason}",
            "Allow these credentials to list them; until then the diagnosis may miss a cause.",
            (kind.replace("_", " "),),
            notice=True,
        )
        for kind, reason in snapshot.unread.items()
    ]


def _errors_in_logs(snapshot: Snapshot, reader: PodReader, known: Iterable[Finding]) -> list[Finding]:
    """Look for errors in the log of one ready pod of each track, if nothing else is known about the pod."""
    explained = {each for finding in known for each in finding.objects}
    findings: list[Finding] = []
    read: set[str] = set()
    for pod in snapshot.selected({"app": snapshot.service}):
        track = labels(pod.document).get("track", "")
        if track in read or not pod.ready or f"Pod {pod.name}" in explained:
            continue
        read.add(track)
        container = pod.container["name"]
        errors = [line for line in reader.log(pod, container, previous=False) if _is_error(line)]
        if errors:
            finding = Finding.about("Pod", pod.document, explain("pod", "errors in log", track=track))
            log_of = f"{pod.name}, container {container}"
            findings.append(replace(finding, log=tuple(errors[-SHOWN_LINES:]), log_of=log_of, notice=True))
    return findings


def _is_error(line: str) -> bool:
    """Return whether a log line reports an error: by the level of a JSON record, or by the words that loggers use."""
    try:
        record: Any = json.loads(line)
    except ValueError:
        return any(word in line.upper() for word in ("ERROR", "FATAL", "PANIC", "TRACEBACK", "EXCEPTION"))
    level = str(record.get("level", "")).lower() if isinstance(record, dict) else ""  # pyright: ignore
    return level in ("error", "fatal", "critical", "panic")
