"""When a Deployment, a StatefulSet, a DaemonSet, a ReplicationController, a Job or a Pod is ready."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lab.plugins.kubernetes import pods
from lab.plugins.kubernetes.awaiting import State
from lab.plugins.kubernetes.cluster import Cluster
from lab.plugins.kubernetes.objects import annotation, metadata, name_of, namespace_of
from lab.plugins.properties import Properties

REVISION = "deployment.kubernetes.io/revision"


def _observed(live: Properties) -> bool:
    """Whether the controller has seen what was written last."""
    return (live.get("status") or {}).get("observedGeneration", 0) >= metadata(live).get("generation", 0)


def _wanted(live: Properties) -> int:
    replicas = live["spec"].get("replicas")
    return 1 if replicas is None else replicas


@dataclass(frozen=True)
class DeploymentReadiness:
    """Ready: the current revision's ReplicaSet is complete and the Deployment available.

    Past `progressDeadlineSeconds` the wait goes on to its own end, as the official provider's does: a pod that comes
    up late still counts.
    """

    cluster: Cluster

    def __call__(self, live: Properties) -> State:
        replica_set = self._replica_set(live) if _observed(live) else None
        wanted = _wanted(live)
        ready = 0
        complete = False
        if replica_set is not None:
            ready = (replica_set.get("status") or {}).get("readyReplicas", 0)
            complete = ready >= _wanted(replica_set) and self._rolled_out(live, wanted)
        progress = f"Waiting for app ReplicaSet to be available ({ready}/{wanted} Pods available)"
        return State(complete, progress, problems=lambda: self._problems(live, replica_set))

    def _replica_set(self, live: Properties) -> Properties | None:
        revision = annotation(live, REVISION)
        for each in self.cluster.list(
            "apps/v1", "ReplicaSet", namespace_of(live), pods.selector(live["spec"]["selector"])
        ):
            if annotation(each, REVISION) == revision and pods.owned_by(each, metadata(live)["uid"]):
                return each
        return None

    def _rolled_out(self, live: Properties, wanted: int) -> bool:
        if not pods.holds(live, "Available") or live["status"].get("updatedReplicas", 0) < wanted:
            return False
        progressing = pods.condition(live, "Progressing")
        # The first revision is not rolled out over another one. No condition at all: there is no deadline.
        return (
            annotation(live, REVISION) == "1"
            or not progressing
            or (progressing.get("status") == "True" and progressing.get("reason") == "NewReplicaSetAvailable")
        )

    def _problems(self, live: Properties, replica_set: Properties | None) -> list[str]:
        found = [
            f"[{each.get('reason')}] {each.get('message')}"
            for each in (pods.condition(live, "Progressing"), pods.condition(live, "Available"))
            if each.get("status") == "False"
        ]
        if annotation(live, REVISION) in ("", "1"):
            found.append("Minimum number of live Pods was not attained")
        else:
            found.append("Attempted to roll forward to new ReplicaSet, but minimum number of Pods did not become live")
        if replica_set is None:
            return found
        failure = pods.condition(replica_set, "ReplicaFailure")
        if failure.get("status") == "True":  # A quota, an admission policy: there is no pod to ask.
            found.append(f"[{failure.get('reason')}] {failure.get('message')}")
        found += _claims(self.cluster, live)
        return found + _pod_problems(self.cluster, live["spec"]["selector"], replica_set)


def _claims(cluster: Cluster, workload: Properties) -> list[str]:
    """Which of the claims that the pods mount are not bound."""
    volumes = workload["spec"]["template"]["spec"].get("volumes") or []
    names = {volume["persistentVolumeClaim"]["claimName"] for volume in volumes if volume.get("persistentVolumeClaim")}
    if not names:
        return []
    claims = cluster.list("v1", "PersistentVolumeClaim", namespace_of(workload))
    unbound = [
        (name_of(claim), (claim.get("status") or {}).get("phase")) for claim in claims if name_of(claim) in names
    ]
    return [
        f"PersistentVolumeClaim: [{name}] is not ready. status.phase currently at: {phase}"
        for name, phase in unbound
        if phase != "Bound"
    ]


def _pod_problems(cluster: Cluster, labels: Properties, owner: Properties) -> list[str]:
    found = cluster.list("v1", "Pod", namespace_of(owner), pods.selector(labels))
    owned = [pod for pod in found if pods.owned_by(pod, metadata(owner)["uid"])]
    return [problem for pod in owned for problem in pods.problems(pod)]


@dataclass(frozen=True)
class StatefulSetReadiness:
    """Ready: all replicas are, and (unless pods are replaced by hand, or a partition is left) all are up to date."""

    cluster: Cluster

    def __call__(self, live: Properties) -> State:
        status, wanted = live.get("status") or {}, _wanted(live)
        ready = status.get("readyReplicas", 0)
        complete = _observed(live) and status.get("replicas", 0) == wanted == ready and self._updated(live, wanted)
        first = metadata(live).get("generation", 1) <= 1
        step = (
            "[1/2] Waiting for StatefulSet to create Pods"
            if first
            else ("[1/3] Waiting for StatefulSet update to roll out")
        )
        return State(complete, f"{step} ({ready}/{wanted} Pods ready)", problems=lambda: self._problems(live))

    def _updated(self, live: Properties, wanted: int) -> bool:
        strategy = live["spec"].get("updateStrategy") or {}
        if strategy.get("type") == "OnDelete":
            return True
        status = live["status"]
        partition = (strategy.get("rollingUpdate") or {}).get("partition") or 0
        if partition:
            return status.get("updatedReplicas", 0) >= wanted - partition
        return status.get("currentRevision") == status.get("updateRevision")

    def _problems(self, live: Properties) -> list[str]:
        found = ["Failed to observe the expected number of ready replicas"]
        return found + _pod_problems(self.cluster, live["spec"]["selector"], live)


@dataclass(frozen=True)
class DaemonSetReadiness:
    """Ready: a pod of the current generation is ready on each node that is to have one."""

    cluster: Cluster

    def __call__(self, live: Properties) -> State:
        status = live.get("status") or {}
        wanted, ready = status.get("desiredNumberScheduled", 0), status.get("numberReady", 0)
        by_hand = (live["spec"].get("updateStrategy") or {}).get("type") == "OnDelete"
        updated = wanted if by_hand else status.get("updatedNumberScheduled", 0)
        complete = _observed(live) and ready >= wanted and updated >= wanted
        return State(
            complete,
            f"Waiting for DaemonSet to be ready ({ready}/{wanted} Pods ready)",
            problems=lambda: _pod_problems(self.cluster, live["spec"]["selector"], live),
        )


def replication_controller(live: Properties) -> State:
    """Ready: as many pods as wanted are available."""
    available, wanted = (live.get("status") or {}).get("availableReplicas", 0), _wanted(live)
    return State(available == wanted, f"Waiting for Pods to be available ({available}/{wanted})")


@dataclass(frozen=True)
class JobReadiness:
    """Ready: complete. A Job that has failed can't become ready any more."""

    cluster: Cluster

    def __call__(self, live: Properties) -> State:
        status = live.get("status") or {}
        failed = pods.condition(live, "Failed")
        failure = ""
        if failed.get("status") == "True":
            failure = f"[{failed.get('reason')}] {failed.get('message')}"
        counts = (
            f"(Active: {status.get('active', 0)} | Succeeded: {status.get('succeeded', 0)} | "
            f"Failed: {status.get('failed', 0)})"
        )
        name = pods.qualified(live)
        started = bool(status.get("startTime"))
        progress = f'Waiting for Job "{name}" to succeed {counts}' if started else f'Waiting for Job "{name}" to start'
        return State(
            started and pods.holds(live, "Complete"),
            progress,
            failure,
            lambda: _pod_problems(self.cluster, live["spec"].get("selector") or {}, live),
        )


def pod(live: Properties) -> State:
    """Ready: as its condition says, or done."""
    name = pods.qualified(live)
    scheduled = pods.holds(live, "PodScheduled")
    progress = f'Waiting for Pod "{name}" to be ready' if scheduled else f'Waiting for Pod "{name}" to be scheduled'
    return State(pods.is_ready(live), progress, problems=lambda: pods.problems(live))


WORKLOADS: dict[tuple[str, str], Callable[[Cluster], Callable[[Properties], State]]] = {
    ("apps/v1", "Deployment"): DeploymentReadiness,
    ("apps/v1", "StatefulSet"): StatefulSetReadiness,
    ("apps/v1", "DaemonSet"): DaemonSetReadiness,
    ("batch/v1", "Job"): JobReadiness,
    ("v1", "Pod"): lambda _: pod,
    ("v1", "ReplicationController"): lambda _: replication_controller,
}
