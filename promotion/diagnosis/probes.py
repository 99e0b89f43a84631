"""Probes that fail: which one, what it was answered, and whether it was what ended a container."""

from __future__ import annotations

import re
from dataclasses import dataclass

from promotion.diagnosis.ending import probe_remedy
from promotion.diagnosis.reason import Reason
from promotion.diagnosis.snapshot import Document, Snapshot, message, parsed, parts

#: Seconds that the clocks of kubelet and API server, and their rounding, may differ.
SLACK_SECONDS = 5
#: Exit codes of a container that was told to end: it obeyed, or SIGKILL or SIGTERM ended it.
TOLD_TO_END = frozenset({0, 137, 143})


@dataclass(frozen=True)
class FailingProbe:
    """``asks`` is the port and path to ask by oneself, None where the probe is not an HTTP GET."""

    kind: str
    where: str
    answered: str
    evidence: list[str]
    asks: tuple[int, str] | None

    def reason(self, answer: str = "") -> Reason:
        """Why the pod is not ready; ``answer``, "STATUS: BODY", is what it answers now, if that was asked.

        An error that it answers now says more than the kubelet's last word, which may be a time-out in passing.
        """
        status = answer.partition(":")[0]
        answered = f"it is answered with status {status}" if status >= "400" else self.answered
        return Reason(
            f"failing-{self.kind}-probe",
            f"the {self.kind} probe{self.where} fails: {answered}",
            probe_remedy(self.kind),
        )


def failing_probe(snapshot: Snapshot, pod: Document, container: Document, started: bool) -> FailingProbe | None:
    """The probe that keeps a running container from being ready; None when none has failed."""
    for kind in ("readiness", "liveness") if started else ("startup",):
        probe = container.get(f"{kind}Probe")
        events = [
            event
            for event in snapshot.events_of(pod, "Unhealthy", "ProbeWarning")
            if str(event["message"]).lower().startswith(f"{kind} probe")
        ]
        if not probe or not events:
            continue
        get = probe.get("httpGet")
        port = _port(container, get["port"]) if get else 0
        where = f" (GET {get.get('path', '/')} on port {port})" if get else ""
        said = str(events[0]["message"])
        asks = (port, get.get("path", "/")) if get and port else None
        return FailingProbe(kind, where, _answered(said, probe), [message(events[0])], asks)
    return None


def killing_probe(snapshot: Snapshot, pod: Document, container: str, ended: Document) -> str | None:
    """The probe, liveness or startup, for whose failure the kubelet ended the container; None if it ended otherwise."""
    grace = int(pod["spec"].get("terminationGracePeriodSeconds", 30))
    as_if_told = int(ended["exitCode"]) in TOLD_TO_END
    for event in snapshot.events_of(pod, "Killing"):
        found = re.search(rf"Container {re.escape(container)} failed (liveness|startup) probe", str(event["message"]))
        if not found:
            continue
        stamp = event.get("lastTimestamp") or event.get("eventTime")
        end = ended.get("finishedAt")
        passed = (parsed(end) - parsed(stamp)).total_seconds() if stamp and end else 0.0
        # An older kill, when the container has since ended by itself, lies further back; a newer one is still going on.
        # The kubelet stops writing events that come too often, so an end as if told to needs no event of its own.
        if as_if_told or -SLACK_SECONDS <= passed <= grace + SLACK_SECONDS:
            return found[1]
    return None


def _port(container: Document, port: str | int) -> int:
    """The number of a port that a probe names; 0 where the container has no such name."""
    if isinstance(port, int):
        return port
    return next((int(each["containerPort"]) for each in parts(container, "ports") if each.get("name") == port), 0)


def _answered(said: str, probe: Document) -> str:
    if found := re.search(r"statuscode: (\d+)", said):
        return f"it is answered with status {found[1]}"
    if "connection refused" in said:
        return "nothing listens there"
    if re.search(r"deadline exceeded|timeout|timed out", said, re.IGNORECASE):
        return f"no answer within {probe.get('timeoutSeconds', 1)} s"
    if "exec" in probe:
        return f"`{' '.join(probe['exec']['command'])}` ends with an error"
    return "see the evidence"
