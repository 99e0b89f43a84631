"""Services that reach no pod or have no address, and volume claims that wait."""

from __future__ import annotations

from dataclasses import replace

from promotion.diagnosis.finding import Finding
from promotion.diagnosis.pods import is_ready
from promotion.diagnosis.reason import Reason
from promotion.diagnosis.snapshot import Document, Snapshot, labels, message, name, part, parts, tracks

#: Seconds that a cloud is given to hand out an address, and a storage driver to make a volume.
PATIENCE_SECONDS = 30
_CONSUMER = "WaitForFirstConsumer"


def silent_services(snapshot: Snapshot) -> list[Finding]:
    """Services with a selector whose requests reach nobody."""
    found: list[Finding] = []
    for service in snapshot.services:
        selector = service["spec"].get("selector")
        if selector and not _answering(snapshot, service) and _settled(snapshot, service):
            found.append(_about("Service", service, _why_silent(snapshot, service, selector)))
    return found


def _answering(snapshot: Snapshot, service: Document) -> bool:
    """Whether a ready endpoint has a port to send requests to."""
    slices = [
        each for each in snapshot.endpoint_slices if labels(each).get("kubernetes.io/service-name") == name(service)
    ]
    return any(
        each.get("ports") and any(part(one, "conditions").get("ready") for one in parts(each, "endpoints"))
        for each in slices
    )


def _why_silent(snapshot: Snapshot, service: Document, selector: dict[str, str]) -> Reason:
    behind = snapshot.selected(selector)
    shown = ",".join(f"{key}={value}" for key, value in selector.items())
    if not behind:
        return Reason(
            "no-endpoints",
            f"Service {name(service)} selects {shown}, and no pod has those labels",
            "correct the selector; the public Service's follows `traffic` in the stack file, and the next `python -m"
            " promotion up` takes back a change by hand",
        )
    ready = [pod for pod in behind if is_ready(pod)]
    if not ready:
        return Reason(
            "no-ready-endpoints",
            f"none of the {len(behind)} pods behind Service {name(service)} is ready, so nobody is answered",
            "mend the pods: their own blocks say how",
        )
    ports = ", ".join(str(port.get("targetPort", port["port"])) for port in service["spec"]["ports"])
    return Reason(
        "service-port",
        f"Service {name(service)} sends to port {ports}, which its pods do not have",
        "name a port of the container in targetPort; the release's own Services use `http` and `metrics`",
    )


def waiting_addresses(snapshot: Snapshot) -> list[Finding]:
    """LoadBalancer Services without an address."""
    found: list[Finding] = []
    for service in snapshot.services:
        if service["spec"].get("type") != "LoadBalancer" or not _settled(snapshot, service):
            continue
        if parts(service, "status", "loadBalancer", "ingress"):
            continue
        warnings = [event for event in snapshot.events_of(service) if event.get("type") == "Warning"]
        if warnings:
            reason = Reason(
                "load-balancer-pending",
                f"LoadBalancer Service {name(service)} gets no address",
                "the evidence is the answer of what hands them out: a quota or a used-up range, often",
            )
        else:
            chosen = service["spec"].get("loadBalancerClass")
            reason = Reason(
                "load-balancer-pending",
                f"LoadBalancer Service {name(service)} has no address"
                + (f", and nothing in the cluster serves loadBalancerClass {chosen}" if chosen else " yet"),
                "see that something in the cluster hands out addresses: a cloud's controller (minutes are usual there),"
                " or MetalLB, `minikube tunnel` and their like on one machine",
            )
        found.append(_about("Service", service, reason, *(message(event) for event in warnings[:2])))
    return found


def waiting_claims(snapshot: Snapshot) -> list[Finding]:
    """Volume claims that have no volume, or have lost it."""
    found: list[Finding] = []
    for claim in snapshot.claims:
        phase = claim["status"].get("phase")
        if phase == "Bound" or not _settled(snapshot, claim):
            continue
        events = snapshot.events_of(claim)
        newest = str(events[0]["message"]) if events else ""
        if events and events[0]["reason"] == _CONSUMER:
            continue  # waits for its pod, whose own finding says what that waits for
        finding = _about("PersistentVolumeClaim", claim, _why_unbound(claim, newest), *map(message, events[:2]))
        found.append(replace(finding, objects=(*finding.objects, *_users(snapshot, name(claim)))))
    return found


def _users(snapshot: Snapshot, claim: str) -> list[str]:
    """Pods that mount the claim."""
    return [
        f"Pod {name(pod)}"
        for pod in snapshot.pods
        if any(part(each, "persistentVolumeClaim").get("claimName") == claim for each in parts(pod, "spec", "volumes"))
    ]


def _why_unbound(claim: Document, said: str) -> Reason:
    storage_class = claim["spec"].get("storageClassName")
    if claim["status"].get("phase") == "Lost":
        return Reason(
            "volume-lost",
            f"the volume of PersistentVolumeClaim {name(claim)} is gone, and what was on it",
            "restore from a backup into a new claim",
        )
    if "storageclass" in said.lower() and "not found" in said:
        return Reason(
            "volume-claim-pending",
            f"PersistentVolumeClaim {name(claim)} wants storage class {storage_class}, which the cluster does not have",
            "`kubectl get storageclass` lists what there is; name one of them",
        )
    if "no storage class is set" in said or (not storage_class and not said):
        return Reason(
            "volume-claim-pending",
            f"PersistentVolumeClaim {name(claim)} names no storage class, and the cluster has no default one",
            "install a storage driver, or mark a storage class as the default",
        )
    return Reason(
        "volume-claim-pending",
        f"PersistentVolumeClaim {name(claim)} has no volume yet",
        "the evidence is the storage driver's answer; no answer means that no driver serves its class",
    )


def _settled(snapshot: Snapshot, thing: Document) -> bool:
    return snapshot.seconds_since(thing["metadata"]["creationTimestamp"]) >= PATIENCE_SECONDS


def _about(kind: str, thing: Document, reason: Reason, *evidence: str) -> Finding:
    return Finding(reason.cause, reason.what, reason.remedy, (f"{kind} {name(thing)}",), tracks(thing), tuple(evidence))
