"""When a Deployment, a StatefulSet or a Job is ready."""

from __future__ import annotations

from lab.plugins.kubernetes import pods
from lab.plugins.kubernetes.awaiting import State
from lab.plugins.kubernetes.cluster import Cluster
from lab.plugins.kubernetes.objects import annotation, metadata, namespace_of
from lab.plugins.properties import Properties

REVISION = "deployment.kubernetes.io/revision"


def _is_observed(live: Properties) -> bool:
    """Return whether the controller has seen the last change."""
    return (live.get("status") or {}).get("observedGeneration", 0) >= metadata(live).get("generation", 0)


def _replicas(live: Properties) -> int:
    replicas = live["spec"].get("replicas")
    return 1 if replicas is None else replicas


def deployment(cluster: Cluster, live: Properties) -> State:
    """A Deployment is ready when it is available and its current ReplicaSet is complete.

    It may still become ready after `progressDeadlineSeconds`, so only the wait's timeout ends the wait, as in the
    official provider.
    """
    replica_set = _replica_set(cluster, live) if _is_observed(live) else None
    wanted, ready, complete = _replicas(live), 0, False
    if replica_set is not None:
        ready = (replica_set.get("status") or {}).get("readyReplicas", 0)
        complete = ready >= _replicas(replica_set) and _is_rolled_out(live, wanted)
    progress = f"Waiting for app ReplicaSet to be available ({ready}/{wanted} Pods available)"
    return State(complete, progress, problems=lambda: _deployment_problems(cluster, live, replica_set))


def _replica_set(cluster: Cluster, live: Properties) -> Properties | None:
    """Return the ReplicaSet of the current revision."""
    revision, uid = annotation(live, REVISION), metadata(live)["uid"]
    found = cluster.list("ReplicaSet", namespace_of(live), pods.selector(live))
    return next((each for each in found if annotation(each, REVISION) == revision and pods.is_owned(each, uid)), None)


def _is_rolled_out(live: Properties, wanted: int) -> bool:
    if not pods.has_condition(live, "Available") or live["status"].get("updatedReplicas", 0) < wanted:
        return False
    progressing = pods.condition(live, "Progressing")
    # The first revision replaces no other. Without a progress deadline there is no condition.
    return (
        annotation(live, REVISION) == "1"
        or not progressing
        or (progressing.get("status") == "True" and progressing.get("reason") == "NewReplicaSetAvailable")
    )


def _deployment_problems(cluster: Cluster, live: Properties, replica_set: Properties | None) -> list[str]:
    conditions = [pods.condition(live, "Progressing"), pods.condition(live, "Available")]
    reasons = [f"[{each.get('reason')}] {each.get('message')}" for each in conditions if each.get("status") == "False"]
    if annotation(live, REVISION) in ("", "1"):
        reasons.append("Minimum number of live Pods was not attained")
    else:
        reasons.append("Attempted to roll forward to new ReplicaSet, but minimum number of Pods did not become live")
    if replica_set is None:
        return reasons
    # A quota or an admission policy refuses the pods, so none of them can tell.
    failure = pods.condition(replica_set, "ReplicaFailure")
    if failure.get("status") == "True":
        reasons.append(f"[{failure.get('reason')}] {failure.get('message')}")
    return reasons + _pod_problems(cluster, live, replica_set)


def _pod_problems(cluster: Cluster, workload: Properties, owner: Properties) -> list[str]:
    found = cluster.list("Pod", namespace_of(owner), pods.selector(workload))
    uid = metadata(owner)["uid"]
    return [problem for pod in found if pods.is_owned(pod, uid) for problem in pods.problems(pod)]


def stateful_set(cluster: Cluster, live: Properties) -> State:
    """A StatefulSet is ready when all its replicas are ready and up to date."""
    status, wanted = live.get("status") or {}, _replicas(live)
    ready = status.get("readyReplicas", 0)
    updated = status.get("currentRevision") == status.get("updateRevision")
    complete = _is_observed(live) and status.get("replicas", 0) == wanted == ready and updated
    step = "[1/2] Waiting for StatefulSet to create Pods"
    if metadata(live).get("generation", 1) > 1:
        step = "[1/3] Waiting for StatefulSet update to roll out"

    def problems() -> list[str]:
        return ["Failed to observe the expected number of ready replicas", *_pod_problems(cluster, live, live)]

    return State(complete, f"{step} ({ready}/{wanted} Pods ready)", problems=problems)


def job(cluster: Cluster, live: Properties) -> State:
    """A Job is ready when it is complete. A failed Job never becomes ready."""
    status, failed = live.get("status") or {}, pods.condition(live, "Failed")
    failure = f"[{failed.get('reason')}] {failed.get('message')}" if failed.get("status") == "True" else ""
    started = bool(status.get("startTime"))
    progress = f'Waiting for Job "{pods.qualified_name(live)}" to start'
    if started:
        counts = " | ".join(f"{name}: {status.get(name.lower(), 0)}" for name in ("Active", "Succeeded", "Failed"))
        progress = f'Waiting for Job "{pods.qualified_name(live)}" to succeed ({counts})'
    complete = started and pods.has_condition(live, "Complete")
    return State(complete, progress, failure, lambda: _pod_problems(cluster, live, live))
