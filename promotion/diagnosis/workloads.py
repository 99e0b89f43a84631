"""Examine the objects around the pods: ReplicaSets, Jobs, Deployments, Services and volume claims."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from promotion.diagnosis.findings import Finding
from promotion.diagnosis.pods import SETUP_EVENTS
from promotion.diagnosis.reasons import database_reason, end_reason, exit_text, pull_reason
from promotion.diagnosis.rules import Reason, explain
from promotion.diagnosis.snapshot import SHOWN_LINES, PodReader, Snapshot, event_text, owners
from promotion.state.cluster.pods import Document, Pod, condition, labels, name, part, parts

#: Seconds that controllers get to create pods, a cloud to assign an address, and a storage driver to create a volume.
PATIENCE_SECONDS = 30


def refused_pods(snapshot: Snapshot) -> list[Finding]:
    """Report owners with too few pods because their creation is refused or does not happen."""
    findings: list[Finding] = []
    for kind, things in (("ReplicaSet", snapshot.replica_sets), ("StatefulSet", snapshot.stateful_sets)):
        for thing in things:
            if int(thing["status"].get("replicas", 0)) >= int(thing["spec"].get("replicas", 0)):
                continue
            failure = condition(thing, "ReplicaFailure")
            if failure.get("status") == "True":
                message = str(failure["message"])
                findings.append(Finding.about(kind, thing, explain("refused", message), message))
            elif refused := _refused(snapshot, kind, thing):
                findings.append(refused)
            elif snapshot.age(thing) >= PATIENCE_SECONDS:
                findings.append(Finding.about(kind, thing, explain("pod", "not created")))
    for job in snapshot.jobs:
        if not job["status"].get("active") and not job["status"].get("succeeded"):
            findings += filter(None, [_refused(snapshot, "Job", job)])
    return findings


def _refused(snapshot: Snapshot, kind: str, thing: Document) -> Finding | None:
    events = snapshot.events_of(thing, "FailedCreate")
    if not events:
        return None
    return Finding.about(kind, thing, explain("refused", str(events[0]["message"])), event_text(events[0]))


def failed_jobs(snapshot: Snapshot, reader: PodReader) -> list[Finding]:
    """Report Jobs that have failed, or that Kubernetes still retries after a failure."""
    return [
        _failed_job(snapshot, reader, job)
        for job in snapshot.jobs
        if condition(job, "Failed").get("status") == "True"
        or (job["status"].get("failed") and not job["status"].get("succeeded"))
    ]


def _failed_job(snapshot: Snapshot, reader: PodReader, job: Document) -> Finding:
    failed = condition(job, "Failed")
    given_up = f"{failed['reason']}: {failed.get('message', '')}" if failed else ""
    pods = [pod for pod in snapshot.pods if job["metadata"]["uid"] in owners(pod.document)]
    failures = [
        (pod, *end) for pod in sorted(pods, key=lambda pod: pod.created, reverse=True) for end in _failures(pod)
    ]
    if not failures:
        return Finding.about("Job", job, _reason_without_pods(snapshot, job), given_up)
    pod, container, end = failures[0]
    lines = reader.log(pod, container["name"], previous=False)
    reason, code = end_reason(end, container), int(end["exitCode"])
    if database := database_reason(lines):
        reason = database[0]
    elif reason.cause.startswith("crash-"):
        reason = _job_reason(job, "", code)
    attempts = f"{len(failures)} failed attempts, the last with {exit_text(code)}"
    finding = Finding.about("Job", job, reason, given_up, attempts, reader.masked(str(end.get("message", ""))))
    return replace(finding, log=lines[-SHOWN_LINES:], log_of=f"{pod.name}, container {container['name']}")


def _failures(pod: Pod) -> list[tuple[Document, Document]]:
    """Return the pod's containers that ended with an error, and how they ended."""
    containers = {each["name"]: each for each in pod.document["spec"]["containers"]}
    statuses = parts(pod.document, "status", "containerStatuses")
    ends = [(containers[each["name"]], part(each, "state", "terminated")) for each in statuses]
    return [(container, end) for container, end in ends if end.get("exitCode")]


def _reason_without_pods(snapshot: Snapshot, job: Document) -> Reason:
    """Explain a Job without pods from the events of its former pods."""
    for event in reversed(snapshot.events):
        about, message = event["involvedObject"], str(event["message"])
        if about.get("kind") != "Pod" or not str(about.get("name", "")).startswith(f"{name(job)}-"):
            continue
        if pull := re.search(r"Failed to pull image \"([^\"]+)\": (.*)", message):
            return pull_reason(pull[2], pull[1])
        if event["reason"] in SETUP_EVENTS:
            return explain("setup", f"{event['reason']}: {message}")
    return _job_reason(job, str(condition(job, "Failed").get("reason", "")), None)


def _job_reason(job: Document, reason: str, code: int | None) -> Reason:
    return explain(
        "job",
        f"{reason} {'migration' if labels(job).get('app', '').endswith('-migrate') else 'job'}",
        job=name(job),
        seconds=job["spec"].get("activeDeadlineSeconds"),
        exit=f" with {exit_text(code)}" if code is not None else "",
    )


def stalled_rollouts(snapshot: Snapshot, known: Sequence[Finding]) -> list[Finding]:
    """Report Deployments that make no progress, or have no pods, unless a known finding explains it."""
    findings: list[Finding] = []
    for deployment in snapshot.deployments:
        progressing = condition(deployment, "Progressing")
        evidence = ""
        if deployment["spec"].get("paused"):
            symptom = "paused"
        elif not deployment["spec"].get("replicas"):
            symptom = "scaled to zero"
        elif progressing.get("status") == "False" and not _explained(deployment, known):
            symptom, evidence = "stalled", f"{progressing.get('reason')}: {progressing.get('message')}"
        else:
            continue
        reason = explain("deployment", symptom, name=name(deployment))
        findings.append(Finding.about("Deployment", deployment, reason, evidence))
    return findings


def _explained(deployment: Document, known: Sequence[Finding]) -> bool:
    """Return whether a finding names one of the Deployment's pods or ReplicaSets; their names begin with its own."""
    prefixes = (f"Pod {name(deployment)}-", f"ReplicaSet {name(deployment)}-")
    return any(each.startswith(prefixes) for finding in known for each in finding.objects)


def silent_services(snapshot: Snapshot) -> list[Finding]:
    """Report Services whose requests reach no pod; Services without a selector are not the release's."""
    if not {"endpoint_slices", "pods"}.isdisjoint(snapshot.unread):
        return []
    findings: list[Finding] = []
    for service in snapshot.services:
        selector = service["spec"].get("selector")
        if not selector or snapshot.age(service) < PATIENCE_SECONDS or _has_endpoints(snapshot, service):
            continue
        pods = snapshot.selected(selector)
        reason = explain(
            "service",
            "no pods" if not pods else "other port" if any(pod.ready for pod in pods) else "no ready pods",
            name=name(service),
            selector=",".join(f"{key}={value}" for key, value in selector.items()),
            count=len(pods),
            ports=", ".join(str(port.get("targetPort", port["port"])) for port in service["spec"]["ports"]),
        )
        findings.append(Finding.about("Service", service, reason))
    return findings


def _has_endpoints(snapshot: Snapshot, service: Document) -> bool:
    """Return whether a ready endpoint has a port that gets requests."""
    return any(
        each.get("ports") and any(part(one, "conditions").get("ready") for one in parts(each, "endpoints"))
        for each in snapshot.endpoint_slices
        if labels(each).get("kubernetes.io/service-name") == name(service)
    )


def unassigned_addresses(snapshot: Snapshot) -> list[Finding]:
    """Report LoadBalancer Services without an address."""
    findings: list[Finding] = []
    for service in snapshot.services:
        if (
            service["spec"].get("type") == "LoadBalancer"
            and snapshot.age(service) >= PATIENCE_SECONDS
            and not parts(service, "status", "loadBalancer", "ingress")
        ):
            warnings = [event for event in snapshot.events_of(service) if event.get("type") == "Warning"]
            reason = explain("address", "refused" if warnings else "", name=name(service))
            findings.append(Finding.about("Service", service, reason, *map(event_text, warnings[:2])))
    return findings


def unprogrammed_gateways(snapshot: Snapshot) -> list[Finding]:
    """Report Gateways whose controller has not set them up."""
    findings: list[Finding] = []
    for gateway in snapshot.gateways or ():
        conditions = {each["type"]: each for each in parts(gateway, "status", "conditions")}
        if conditions.get("Programmed", {}).get("status") == "True" or snapshot.age(gateway) < PATIENCE_SECONDS:
            continue
        # Whoever creates a Gateway gets "Waiting for controller", and a controller replaces it.
        messages = [str(each.get("message", "")) for each in conditions.values() if each.get("status") != "True"]
        unanswered = not conditions or any("Waiting for controller" in each for each in messages)
        reason = explain(
            "gateway",
            "no controller" if unanswered else "",
            name=name(gateway),
            gateway_class=gateway["spec"]["gatewayClassName"],
        )
        warnings = [event for event in snapshot.events_of(gateway) if event.get("type") == "Warning"]
        findings.append(Finding.about("Gateway", gateway, reason, *messages[:2], *map(event_text, warnings[:2])))
    return findings


def unbound_claims(snapshot: Snapshot) -> list[Finding]:
    """Report volume claims without a volume, together with the pods that mount them."""
    findings: list[Finding] = []
    for claim in snapshot.claims:
        phase, events = claim["status"].get("phase"), snapshot.events_of(claim)
        if phase == "Bound" or snapshot.age(claim) < PATIENCE_SECONDS:
            continue
        if events and events[0]["reason"] == "WaitForFirstConsumer":
            continue  # the finding about the pod that mounts it says why that one waits
        storage_class = claim["spec"].get("storageClassName") or ""
        symptom = f"{phase} class={storage_class};{events[0]['message'] if events else ''}"
        reason = explain("claim", symptom, name=name(claim), storage_class=storage_class)
        finding = Finding.about("PersistentVolumeClaim", claim, reason, *map(event_text, events[:2]))
        users = [f"Pod {pod.name}" for pod in snapshot.pods if _mounts(pod, name(claim))]
        findings.append(replace(finding, objects=(*finding.objects, *users)))
    return findings


def _mounts(pod: Pod, claim: str) -> bool:
    volumes = parts(pod.document, "spec", "volumes")
    return any(part(each, "persistentVolumeClaim").get("claimName") == claim for each in volumes)
