"""Owners of pods: creations that are refused, Jobs that fail, rollouts that stand still."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from promotion.diagnosis.ending import database_trouble, exit_words, why_ended
from promotion.diagnosis.finding import Finding
from promotion.diagnosis.pulls import pull_failure
from promotion.diagnosis.questions import SHOWN_LINES, Questions
from promotion.diagnosis.reason import Reason
from promotion.diagnosis.snapshot import Document, Snapshot, condition, labels, message, name, part, parts, tracks
from promotion.diagnosis.starting import SETUP_EVENTS, not_set_up

#: Seconds that controllers are given to make the pods that are asked for.
PATIENCE_SECONDS = 30
_CRASHES = ("crash-at-start", "crash-later")


def refused_pods(snapshot: Snapshot) -> list[Finding]:
    """Owners with fewer pods than they should have, because their creation is refused or nobody creates them."""
    found: list[Finding] = []
    for kind, things in (("ReplicaSet", snapshot.replica_sets), ("StatefulSet", snapshot.stateful_sets)):
        for thing in things:
            wanted, there = int(thing["spec"].get("replicas", 0)), int(thing["status"].get("replicas", 0))
            if there < wanted and (reason := _why_fewer(snapshot, thing)):
                found.append(_about(f"{kind} {name(thing)}", thing, *reason))
    for job in snapshot.jobs:
        refused = snapshot.events_of(job, "FailedCreate")
        if refused and not job["status"].get("active") and not job["status"].get("succeeded"):
            found.append(_about(f"Job {name(job)}", job, _refusal(str(refused[0]["message"])), message(refused[0])))
    return found


def _why_fewer(snapshot: Snapshot, thing: Document) -> tuple[Reason, str] | None:
    failure = condition(thing, "ReplicaFailure")
    if failure.get("status") == "True":
        return _refusal(str(failure["message"])), str(failure["message"])
    if refused := snapshot.events_of(thing, "FailedCreate"):
        return _refusal(str(refused[0]["message"])), message(refused[0])
    if snapshot.seconds_since(thing["metadata"]["creationTimestamp"]) < PATIENCE_SECONDS:
        return None
    reason = Reason(
        "pods-not-made",
        "pods are asked for and nobody makes them",
        "see that the cluster's controller manager runs; a rollout that has just begun may need some seconds",
    )
    return reason, ""


def _refusal(said: str) -> Reason:
    """Why the API server lets nobody create the pod."""
    if found := re.search(r"exceeded quota: (\S+), requested: (.*), used: (.*), limited: (.*)", said):
        return Reason(
            "quota",
            f"quota {found[1]} of the namespace has no room: {found[2]} asked, {found[3]} used of {found[4]}",
            "run fewer or smaller pods, or have the quota raised; a rollout needs room for a quarter more pods",
        )
    if found := re.search(r"failed quota: (\S+): (must specify .*)", said):
        return Reason(
            "quota", f"quota {found[1]} wants each pod to say what it uses: {found[2]}", "set it for the pods"
        )
    if found := re.search(r"violates PodSecurity \"([^\"]+)\": (.*)", said):
        return Reason(
            "pod-security",
            f"Pod Security Standard {found[1]} refuses the pod: {found[2]}",
            "give the pod what the standard asks for; the release's own pods keep to `restricted`, so something else"
            " changed them (a mutating webhook, a sidecar, an edit by hand)",
        )
    if found := re.search(r"serviceaccount \"([^\"]+)\" not found", said):
        return Reason(
            "missing-service-account", f"ServiceAccount {found[1]} does not exist", "create it, or correct its name"
        )
    if found := re.search(r"((?:maximum|minimum) \S+ usage per \w+ is [^,.]+(?:, but \S+ is [^,.]+)?)", said):
        return Reason(
            "limit-range",
            f"a LimitRange of the namespace refuses the pod: {found[1].strip()}",
            "set cpuRequest, memoryRequest and memoryLimit within it, or have it changed",
        )
    if found := re.search(r"(?:admission webhook|failed calling webhook) \"([^\"]+)\"", said):
        return Reason(
            "admission-webhook",
            f"admission webhook {found[1]} refuses the pod, or does not answer",
            "the evidence is its reason; if it does not answer, see that its own pods run",
        )
    return Reason("pods-refused", "the API server refuses to create the pods", "the evidence is its reason")


def failed_jobs(snapshot: Snapshot, questions: Questions) -> list[Finding]:
    """Jobs that failed or are failing."""
    found: list[Finding] = []
    for job in snapshot.jobs:
        failed = condition(job, "Failed")
        if failed.get("status") == "True" or (job["status"].get("failed") and not job["status"].get("succeeded")):
            found.append(_failed_job(snapshot, questions, job, failed))
    return found


def _failed_job(snapshot: Snapshot, questions: Questions, job: Document, failed: Document) -> Finding:
    pods = sorted(snapshot.pods_of(job), key=lambda pod: str(pod["metadata"]["creationTimestamp"]), reverse=True)
    ended = [(pod, *end) for pod in pods for end in _ends(pod)]
    said = [f"{failed['reason']}: {failed.get('message', '')}"] if failed else []
    where = f"Job {name(job)}"
    if not ended:
        return _about(where, job, _never_ended(snapshot, job, failed), *said)
    pod, container, end = ended[0]
    reason = why_ended(end, container, None)
    lines = questions.log(pod, container["name"], False)
    if trouble := database_trouble(lines):
        reason = trouble[0]
    elif reason.cause in _CRASHES:
        reason = _failed_work(job, int(end["exitCode"]))
    attempts = f"{len(ended)} failed attempts, the last with {exit_words(int(end['exitCode']))}"
    finding = _about(where, job, reason, *said, attempts, questions.masked(str(end.get("message", ""))))
    return replace(finding, log=lines[-SHOWN_LINES:], log_of=f"{name(pod)}, container {container['name']}")


def _ends(pod: Document) -> list[tuple[Document, Document]]:
    """Containers of the pod that ended with an error, and how."""
    containers = {each["name"]: each for each in pod["spec"]["containers"]}
    statuses = parts(pod, "status", "containerStatuses")
    ends = [(containers[each["name"]], part(each, "state", "terminated")) for each in statuses]
    return [(container, end) for container, end in ends if end and end["exitCode"]]


def _never_ended(snapshot: Snapshot, job: Document, failed: Document) -> Reason:
    """A Job whose pods are gone, or never ran: what is left is events, under the pods' names."""
    mine = [event for event in snapshot.events if _is_pod_of(event, name(job))]
    for event in reversed(mine):
        said = str(event["message"])
        if pull := re.search(r"Failed to pull image \"([^\"]+)\": (.*)", said):
            return pull_failure("", pull[2], pull[1])
        if event["reason"] in SETUP_EVENTS:
            return not_set_up(str(event["reason"]), said)
    if failed.get("reason") != "DeadlineExceeded":
        return _failed_work(job, None)
    return Reason(
        "migration-too-slow" if _migrates(job) else "job-too-slow",
        f"{_noun(job)} did not end within {job['spec'].get('activeDeadlineSeconds')} s",
        "raise rolloutTimeoutSeconds in the stack file, or see what it waits for: a lock in the database, often",
    )


def _is_pod_of(event: Document, job: str) -> bool:
    about = event["involvedObject"]
    return about.get("kind") == "Pod" and str(about.get("name", "")).startswith(f"{job}-")


def _failed_work(job: Document, code: int | None) -> Reason:
    how = f" with {exit_words(code)}" if code is not None else ""
    return Reason(
        "failed-migration" if _migrates(job) else "failed-job",
        f"{_noun(job)} fails{how}",
        "its log says why; the tables are as the last finished step left them. Mend the migration and build the image"
        " anew: the next `python -m promotion up` runs it again"
        if _migrates(job)
        else "its log says why",
    )


def _migrates(job: Document) -> bool:
    return labels(job).get("app", "").endswith("-migrate")


def _noun(job: Document) -> str:
    return "the migration of the database" if _migrates(job) else f"Job {name(job)}"


def stalled_rollouts(snapshot: Snapshot, known: Sequence[Finding]) -> list[Finding]:
    """Deployments that stand still, or serve nobody, for a reason that no pod's finding tells."""
    found: list[Finding] = []
    for deployment in snapshot.deployments:
        where = f"Deployment {name(deployment)}"
        if deployment["spec"].get("paused"):
            reason = Reason(
                "rollout-paused",
                "the rollout is paused, so the Deployment's pods stay as they are",
                f"`kubectl rollout resume deployment/{name(deployment)}`",
            )
            found.append(_about(where, deployment, reason))
        elif not deployment["spec"].get("replicas"):
            reason = Reason(
                "scaled-to-zero",
                "the Deployment is scaled to 0 pods, which the release never does",
                "somebody scaled it by hand; the next `python -m promotion up` takes it back",
            )
            found.append(_about(where, deployment, reason))
        elif condition(deployment, "Progressing").get("status") == "False" and not _explained(deployment, known):
            said = condition(deployment, "Progressing")
            reason = Reason(
                "rollout-stuck",
                "the rollout has stood still for longer than it may",
                "`kubectl describe deployment` and `kubectl get events` show all there is",
            )
            found.append(_about(where, deployment, reason, f"{said.get('reason')}: {said.get('message')}"))
    return found


def _explained(deployment: Document, known: Iterable[Finding]) -> bool:
    """Whether a finding about one of the Deployment's pods or ReplicaSets is known: they begin with its name."""
    prefixes = (f"Pod {name(deployment)}-", f"ReplicaSet {name(deployment)}-")
    return any(each.startswith(prefixes) for finding in known for each in finding.objects)


def _about(where: str, thing: Document, reason: Reason, *evidence: str) -> Finding:
    lines = tuple(line for line in evidence if line)
    return Finding(reason.cause, reason.what, reason.remedy, (where,), tracks(thing), lines)
