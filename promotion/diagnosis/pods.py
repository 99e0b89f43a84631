"""Examine pods: find the symptom, with its evidence, and look up the reason."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from promotion.diagnosis.findings import Finding
from promotion.diagnosis.reasons import (
    UNSTARTABLE,
    database_reason,
    end_reason,
    exit_text,
    pull_reason,
    seconds_lived,
    start_reason,
    unschedulable_reason,
)
from promotion.diagnosis.rules import Reason, explain
from promotion.diagnosis.snapshot import SHOWN_LINES, PodReader, Snapshot, event_text, owners
from promotion.state.cluster.pods import Document, Pod, condition, labels, name, parse_time, part, parts

#: Seconds for which a starting pod is not called stuck.
PATIENCE_SECONDS = 30
#: Seconds for which the end of a container that is ready again is still reported.
RECENT_SECONDS = 3600
#: Seconds in which a restarted container that is not ready is explained by its last end.
RELAPSE_SECONDS = 300
#: Seconds that the clocks of kubelet and API server, and their rounding, may differ.
SLACK_SECONDS = 5
#: Exit codes of a container that was stopped: it ended by itself, or by SIGKILL or SIGTERM.
STOPPED = frozenset({0, 137, 143})
#: Reasons of a container that waits for its image, and of one with invalid settings.
UNPULLED = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ImageInspectError",
        "InvalidImageName",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
UNCONFIGURED = "CreateContainerConfigError"
#: Events about a pod's volumes or network that cannot be set up.
SETUP_EVENTS = ("FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox")


def pod_findings(snapshot: Snapshot, reader: PodReader, pods: Iterable[Pod]) -> list[Finding]:
    """Return at most one finding for each pod; the log of similar pods of one owner is read once."""
    lost_nodes = {
        name(node) for node in snapshot.nodes or () if condition(node, "Ready").get("status", "True") != "True"
    }
    known: dict[tuple[str, str], Finding] = {}
    findings: list[Finding] = []
    for pod in pods:
        if pod.deleting or pod.document["status"].get("phase") == "Succeeded":
            continue
        node = pod.document["spec"].get("nodeName")
        if node in lost_nodes:
            evidence = str(condition(pod.document, "Ready").get("message", ""))
            findings.append(Finding.about("Pod", pod.document, explain("pod", "node lost", node=node), evidence))
        elif finding := _Examination(snapshot, reader, pod, known).finding():
            findings.append(finding)
    return findings


class _Examination:
    """Looks at one pod, from what comes first in its life to what comes last."""

    def __init__(self, snapshot: Snapshot, reader: PodReader, pod: Pod, known: dict[tuple[str, str], Finding]) -> None:
        self._snapshot = snapshot
        self._reader = reader
        self._pod = pod
        self._document = pod.document
        self._known = known  # findings of similar pods, by owner and symptom
        self._owner = ",".join(sorted(owners(pod.document))) or pod.name
        self._containers = {each["name"]: each for each in pod.document["spec"]["containers"]}

    def finding(self) -> Finding | None:
        if self._document["status"].get("phase") == "Failed":
            return self._failed_pod()
        scheduled = condition(self._document, "PodScheduled")
        if scheduled.get("status") == "False":
            message = str(scheduled.get("message", ""))
            return self._about(unschedulable_reason(self._pod, message, self._snapshot), message)
        for status in parts(self._document, "status", "containerStatuses"):
            if finding := self._container(status):
                return finding
        return self._stuck()

    def _failed_pod(self) -> Finding | None:
        """Report an evicted pod; a Job's pods are reported with their Job."""
        status = self._document["status"]
        if owners(self._document) & {job["metadata"]["uid"] for job in self._snapshot.jobs} or not status.get("reason"):
            return None
        reason = explain("pod", "ended by its node", reason=status["reason"])
        replaced = any(owners(pod.document) & owners(self._document) and pod.ready for pod in self._snapshot.pods)
        return replace(self._about(reason, str(status.get("message", ""))), notice=replaced)

    def _container(self, status: Document) -> Finding | None:
        state = part(status, "state")
        reason, message = (str(part(state, "waiting").get(key, "")) for key in ("reason", "message"))
        if reason in UNPULLED:
            return self._about(pull_reason(f"{reason} {self._pull_errors(message)}", str(status["image"])), message)
        if reason == UNCONFIGURED:
            return self._about(explain("configuration", message), message)
        if reason in UNSTARTABLE:
            return self._about(start_reason(message), message)
        last, ended = part(status, "lastState", "terminated"), part(state, "terminated")
        if ended or (reason == "CrashLoopBackOff" and last):
            return self._ended(status, ended or last, previous=False)
        if "running" not in state:
            return None
        ago = self._snapshot.seconds_since(last.get("finishedAt")) if last else RECENT_SECONDS
        if not status.get("ready"):
            return self._ended(status, last, previous=True) if ago < RELAPSE_SECONDS else self._not_ready(status)
        if ago < RECENT_SECONDS and status.get("restartCount"):
            finding = self._ended(status, last, previous=True)
            return replace(finding, what=f"{finding.what}; it restarted and is ready now", notice=True)
        return None

    def _pull_errors(self, message: str) -> str:
        """Return the runtime's message; while a container waits for the next try, it may be in an event only."""
        events = self._snapshot.events_of(self._document, "Failed", "InspectFailed")
        return " ".join([message, *(str(each["message"]) for each in events if "Failed to" in each["message"])][:2])

    def _ended(self, status: Document, ended: Document, previous: bool) -> Finding:
        container = str(status["name"])
        lived = "at once" if ended.get("reason") in UNSTARTABLE else f"{seconds_lived(ended):.0f} s after its start"
        events = self._snapshot.events_of(self._document, "Unhealthy")
        evidence = [
            f"container {container} ended {lived}, {exit_text(int(ended['exitCode']))},"
            f" reason {ended.get('reason', '(none)')}, {status.get('restartCount', 0)} restarts",
            str(ended.get("message", "")),
            *map(event_text, events[:1]),
        ]
        reason = end_reason(ended, self._containers[container], self._killing_probe(container, ended))
        return self._with_log(reason, evidence, container, previous)

    def _killing_probe(self, container: str, ended: Document) -> str:
        """Return the probe that killed the container, liveness or startup; "" if none did."""
        grace = int(self._document["spec"].get("terminationGracePeriodSeconds", 30))
        pattern = rf"Container {re.escape(container)} failed (liveness|startup) probe"
        for event in self._snapshot.events_of(self._document, "Killing"):
            killed = re.search(pattern, str(event["message"]))
            if not killed:
                continue
            stamp, end = event.get("lastTimestamp") or event.get("eventTime"), ended.get("finishedAt")
            passed = (parse_time(end) - parse_time(stamp)).total_seconds() if stamp and end else 0.0
            # A kill further back does not explain this end, and a newer one is still going on. But the kubelet stops
            # writing events that come too often, so the exit code of a stopped container needs no event of its own.
            if int(ended["exitCode"]) in STOPPED or -SLACK_SECONDS <= passed <= grace + SLACK_SECONDS:
                return killed[1]
        return ""

    def _not_ready(self, status: Document) -> Finding | None:
        """Report the probe that keeps a running container from being ready; None if no probe has failed."""
        container = self._containers[status["name"]]
        for kind in ("readiness", "liveness") if status.get("started") else ("startup",):
            probe = part(container, f"{kind}Probe")
            events = [
                event
                for event in self._snapshot.events_of(self._document, "Unhealthy", "ProbeWarning")
                if str(event["message"]).lower().startswith(f"{kind} probe")
            ]
            if probe and events:
                return self._failing_probe(kind, probe, container, events[0])
        return None

    def _failing_probe(self, kind: str, probe: Document, container: Document, event: Document) -> Finding:
        get = part(probe, "httpGet")
        path, port = str(get.get("path", "/")), _port(container, get["port"]) if get else 0
        facts = {
            "kind": kind,
            "request": f" (GET {path} on port {port})" if get else "",
            "timeout": probe.get("timeoutSeconds", 1),
            "key": "readinessPath" if kind == "readiness" else "livenessPath",
        }
        message = str(event["message"])
        reason = explain("probe", message, **facts)
        if known := self._similar(reason):
            return known
        answer = self._reader.probe_answer(self._pod, port, path) if port else ""
        status = answer.partition(":")[0]
        # An error that the pod answers now says more than the kubelet's last message, which may be a passing timeout.
        better = explain("probe", f"statuscode: {status}", **facts) if status >= "400" else reason
        evidence = [event_text(event), f"asked now, it answers {answer}" if answer else ""]
        finding = self._with_log(better, evidence, container["name"], previous=False, answer=answer)
        self._known[self._owner, reason.what] = finding
        return finding

    def _stuck(self) -> Finding | None:
        """Report a pod that is not ready for an unknown reason."""
        if self._pod.ready or self._snapshot.age(self._document) < PATIENCE_SECONDS:
            return None
        setup = self._snapshot.events_of(self._document, *SETUP_EVENTS)
        if setup:
            return self._about(explain("setup", event_text(setup[0])), event_text(setup[0]))
        unmet = [each for each in parts(self._document, "status", "conditions") if each["status"] == "False"]
        conditions = [f"{each['type']} is False: {each.get('reason')} {each.get('message', '')}" for each in unmet]
        events = map(event_text, self._snapshot.events_of(self._document)[:3])
        return self._about(explain("pod", name=self._pod.name), *conditions[:2], *events)

    def _with_log(
        self, reason: Reason, evidence: Sequence[str], container: str, previous: bool, answer: str = ""
    ) -> Finding:
        if known := self._similar(reason):
            return known
        lines = self._reader.log(self._pod, container, previous)
        service = self._snapshot.service
        explained = reason
        if labels(self._document).get("app") in (service, f"{service}-migrate"):
            explained, evidence = _database_first(reason, evidence, lines, answer)
        finding = replace(
            self._about(explained, *evidence),
            log=tuple(lines[-SHOWN_LINES:]),
            log_of=f"{self._pod.name}, container {container}{' (previous)' if previous else ''}",
        )
        self._known[self._owner, reason.what] = finding
        return finding

    def _similar(self, reason: Reason) -> Finding | None:
        """Return the finding of another pod of the same owner with the same symptom, for this pod."""
        known = self._known.get((self._owner, reason.what))
        return known and replace(known, objects=(f"Pod {self._pod.name}",))

    def _about(self, reason: Reason, *evidence: str) -> Finding:
        return Finding.about("Pod", self._document, reason, *map(self._reader.masked, evidence))


def _database_first(
    reason: Reason, evidence: Sequence[str], lines: Sequence[str], answer: str
) -> tuple[Reason, Sequence[str]]:
    """Prefer the database as the reason if the log or the probe's answer reports trouble with it."""
    database = database_reason([*lines, answer])
    if database is None:
        return reason, evidence
    explained, line = database
    return explained, evidence if line in (*lines[-SHOWN_LINES:], answer) else [*evidence, line]


def _port(container: Document, port: str | int) -> int:
    """Return the number of a probe's port; 0 if the container has no port of that name."""
    if isinstance(port, int):
        return port
    return next((int(each["containerPort"]) for each in parts(container, "ports") if each.get("name") == port), 0)
