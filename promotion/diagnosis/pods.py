"""Pods that are not well: the rule that fits, with its evidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from promotion.diagnosis.ending import database_trouble, exit_words, seconds_lived, why_ended
from promotion.diagnosis.finding import Finding
from promotion.diagnosis.probes import failing_probe, killing_probe
from promotion.diagnosis.pulls import WAITING, pull_failure
from promotion.diagnosis.questions import SHOWN_LINES, Questions
from promotion.diagnosis.reason import Reason
from promotion.diagnosis.scheduling import unschedulable
from promotion.diagnosis.snapshot import (
    Document,
    Snapshot,
    condition,
    labels,
    message,
    name,
    owners,
    part,
    parts,
    tracks,
)
from promotion.diagnosis.starting import (
    SETUP_EVENTS,
    UNCONFIGURED,
    UNSTARTABLE,
    not_set_up,
    unconfigured,
    unstartable,
)

#: Seconds for which a pod that is coming up is not called stuck.
PATIENCE_SECONDS = 30
#: Seconds for which an end that a container has come back from is still told.
RECENT_SECONDS = 3600
#: Seconds in which a container that has come back, but is not ready, is not ready because of its last end.
RELAPSE_SECONDS = 300


def pod_findings(snapshot: Snapshot, questions: Questions, pods: Iterable[Document]) -> list[Finding]:
    """Findings about the pods, one a pod at most; like pods of one owner are asked for their log once."""
    nodes_lost = {
        name(node) for node in snapshot.nodes or () if condition(node, "Ready").get("status", "True") != "True"
    }
    known: dict[tuple[str, str], Finding] = {}
    found: list[Finding] = []
    for pod in pods:
        if pod["metadata"].get("deletionTimestamp") or pod["status"].get("phase") == "Succeeded":
            continue
        if pod["spec"].get("nodeName") in nodes_lost:
            found.append(_finding(pod, _node_lost(pod), [str(condition(pod, "Ready").get("message", ""))]))
        elif finding := _Examination(snapshot, questions, pod, known).finding():
            found.append(finding)
    return found


def _node_lost(pod: Document) -> Reason:
    node = pod["spec"]["nodeName"]
    return Reason(
        "node-not-ready",
        f"node {node} does not answer",
        f"`kubectl describe node {node}` says why; its pods are made anew on other nodes after five minutes",
    )


class _Examination:
    """One pod, looked at from what comes first in its life to what comes last."""

    def __init__(
        self, snapshot: Snapshot, questions: Questions, pod: Document, known: dict[tuple[str, str], Finding]
    ) -> None:
        self._snapshot = snapshot
        self._questions = questions
        self._pod = pod
        self._known = known  # by owner and first sight, for the pods that come after
        self._owner = ",".join(sorted(owners(pod))) or name(pod)
        self._containers = {
            each["name"]: each for each in [*parts(pod, "spec", "initContainers"), *pod["spec"]["containers"]]
        }

    def finding(self) -> Finding | None:
        if self._pod["status"].get("phase") == "Failed":
            return self._failed_pod()
        scheduled = condition(self._pod, "PodScheduled")
        if scheduled.get("status") == "False":
            said = str(scheduled.get("message", ""))
            return self._told(unschedulable(self._pod, said, self._snapshot), [said])
        status = self._pod["status"]
        for container in [*parts(status, "initContainerStatuses"), *parts(status, "containerStatuses")]:
            if finding := self._container(container):
                return finding
        return self._stuck()

    def _failed_pod(self) -> Finding | None:
        """A pod that ended for good: a Job's is told by its Job, an evicted one by itself."""
        status = self._pod["status"]
        if owners(self._pod) & {str(job["metadata"]["uid"]) for job in self._snapshot.jobs} or not status.get("reason"):
            return None
        said = str(status.get("message", ""))
        reason = Reason(
            "evicted",
            f"the node ended the pod ({status['reason']})",
            "the node was short of memory or disk: give the pods requests that match their use, or add nodes",
        )
        healthy = [pod for pod in self._snapshot.pods if owners(pod) & owners(self._pod) and is_ready(pod)]
        return replace(self._told(reason, [said]), notice=bool(healthy))

    def _container(self, status: Document) -> Finding | None:
        state = part(status, "state")
        waiting, ended = part(state, "waiting"), part(state, "terminated")
        reason, said = str(waiting.get("reason", "")), str(waiting.get("message", ""))
        if reason in WAITING:
            return self._told(pull_failure(reason, self._pull_words(said), str(status["image"])), [said])
        if reason in UNCONFIGURED:
            return self._told(unconfigured(said), [said])
        if reason in UNSTARTABLE:
            return self._told(unstartable(said), [said])
        last = part(status, "lastState", "terminated")
        if reason == "CrashLoopBackOff" and last:
            return self._ended(status, last, previous=False)
        if ended and (ended["exitCode"] or status["name"] in self._long_running()):
            return self._ended(status, ended, previous=False)
        if "running" not in state:
            return None
        since_last = self._snapshot.seconds_since(last.get("finishedAt")) if last else None
        if not status.get("ready"):
            if last and since_last is not None and since_last < RELAPSE_SECONDS:
                return self._ended(status, last, previous=True)
            return self._not_ready(status)
        if last and since_last is not None and since_last < RECENT_SECONDS and status.get("restartCount"):
            finding = self._ended(status, last, previous=True)
            return replace(finding, what=f"{finding.what}; it was started anew and is ready now", notice=True)
        return None

    def _long_running(self) -> set[str]:
        """Containers that are not to end at all."""
        return {each["name"] for each in self._pod["spec"]["containers"]}

    def _pull_words(self, said: str) -> str:
        """The runtime's words; a container that waits for its next try may have them in an event only."""
        events = self._snapshot.events_of(self._pod, "Failed", "InspectFailed")
        return " ".join([said, *(str(event["message"]) for event in events if "Failed to" in event["message"])][:2])

    def _ended(self, status: Document, ended: Document, previous: bool) -> Finding:
        container = self._containers[status["name"]]
        reason = why_ended(ended, container, killing_probe(self._snapshot, self._pod, status["name"], ended))
        restarts = int(status.get("restartCount", 0))
        lived = f"{seconds_lived(ended):.0f} s after its start" if ended.get("reason") not in UNSTARTABLE else "at once"
        evidence = [
            f"container {status['name']} ended {lived}, {exit_words(int(ended['exitCode']))},"
            f" reason {ended.get('reason', '(none)')}, {restarts} restarts",
            str(ended.get("message", "")),
            *(message(event) for event in self._snapshot.events_of(self._pod, "Unhealthy")[:1]),
        ]
        return self._with_log(reason, evidence, status["name"], previous)

    def _not_ready(self, status: Document) -> Finding | None:
        container = self._containers[status["name"]]
        failing = failing_probe(self._snapshot, self._pod, container, bool(status.get("started")))
        if failing is None:
            return None
        if alike := self._known.get((self._owner, failing.answered)):
            return replace(alike, objects=(f"Pod {name(self._pod)}",))
        answer = self._questions.probe_answer(self._pod, *failing.asks) if failing.asks else ""
        evidence = [*failing.evidence, f"asked now, it answers {answer}" if answer else ""]
        found = self._with_log(failing.reason(answer), evidence, status["name"], previous=False, answer=answer)
        self._known[self._owner, failing.answered] = found
        return found

    def _stuck(self) -> Finding | None:
        """Not ready for no reason found so far; a pod that has just come is given time."""
        if (
            is_ready(self._pod)
            or self._snapshot.seconds_since(self._pod["metadata"]["creationTimestamp"]) < PATIENCE_SECONDS
        ):
            return None
        trouble = self._snapshot.events_of(self._pod, *SETUP_EVENTS)
        if trouble:
            said = str(trouble[0]["message"])
            return self._told(not_set_up(str(trouble[0]["reason"]), said), [message(trouble[0])])
        events = [message(event) for event in self._snapshot.events_of(self._pod)[:3]]
        unmet = [each for each in parts(self._pod, "status", "conditions") if each["status"] == "False"]
        reason = Reason(
            "not-ready",
            "the pod is not ready, and Kubernetes does not say why",
            f"`kubectl describe pod {name(self._pod)}` shows all there is; see that the node and its kubelet are well",
        )
        conditions = [f"{each['type']} is False: {each.get('reason')} {each.get('message', '')}" for each in unmet]
        return self._told(reason, [*conditions[:2], *events])

    def _with_log(
        self, reason: Reason, evidence: Sequence[str], container: str, previous: bool, answer: str = ""
    ) -> Finding:
        if alike := self._known.get((self._owner, reason.what)):
            return replace(alike, objects=(f"Pod {name(self._pod)}",))
        first = reason.what
        lines = self._questions.log(self._pod, container, previous)
        if self._asks_database() and (trouble := database_trouble([*lines, answer])):
            reason, line = trouble
            evidence = [*evidence, line] if line not in (*lines[-SHOWN_LINES:], answer) else evidence
        which = " (previous)" if previous else ""
        told = replace(
            self._told(reason, evidence),
            log=tuple(lines[-SHOWN_LINES:]),
            log_of=f"{name(self._pod)}, container {container}{which}",
        )
        self._known[self._owner, first] = told
        return told

    def _asks_database(self) -> bool:
        return labels(self._pod).get("app") in (self._snapshot.service, f"{self._snapshot.service}-migrate")

    def _told(self, reason: Reason, evidence: Iterable[str]) -> Finding:
        return _finding(self._pod, reason, [self._questions.masked(line) for line in evidence])


def _finding(pod: Document, reason: Reason, evidence: Iterable[str]) -> Finding:
    return Finding(
        reason.cause,
        reason.what,
        reason.remedy,
        objects=(f"Pod {name(pod)}",),
        tracks=tracks(pod),
        evidence=tuple(dict.fromkeys(line for line in evidence if line)),
    )


def is_ready(pod: Document) -> bool:
    """Whether the pod takes requests."""
    return condition(pod, "Ready").get("status") == "True"
