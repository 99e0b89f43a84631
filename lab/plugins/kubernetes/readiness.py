"""How to tell that an object is ready: by its annotations, else by its kind."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from lab.plugins.kubernetes.awaiting import Look, State
from lab.plugins.kubernetes.cluster import ApiError, Cluster
from lab.plugins.kubernetes.kinds import INSTALL_OFFICIAL
from lab.plugins.kubernetes.objects import annotated, annotation
from lab.plugins.kubernetes.service import ServiceReadiness
from lab.plugins.kubernetes.workloads import deployment, job, stateful_set
from lab.plugins.properties import Properties

SKIP = "pulumi.com/skipAwait"
WAIT_FOR = "pulumi.com/waitFor"
_CONDITION = re.compile(r"condition=(\w+)")
_JSON_PATH = re.compile(r"jsonpath=\{((?:\.\w+)+)\}")


class WaitForError(Exception):
    """This stand-in does not understand the annotation pulumi.com/waitFor."""


def claim(cluster: Cluster, live: Properties) -> State:
    """A PersistentVolumeClaim is ready once bound, or at once if its storage class binds with the first pod."""
    phase = (live.get("status") or {}).get("phase")
    if phase == "Bound":
        return State(True)
    binds_with_pod = phase == "Pending" and _binding_mode(cluster, live) == "WaitForFirstConsumer"
    reason = f"PersistentVolumeClaim is {phase or 'without a phase'}"
    return State(binds_with_pod, "Waiting for PersistentVolumeClaim to be bound", problems=lambda: [reason])


def _binding_mode(cluster: Cluster, live: Properties) -> str:
    name = live["spec"].get("storageClassName")
    if not name:
        return ""
    try:
        return cluster.get("StorageClass", "", name).get("volumeBindingMode") or ""
    except ApiError as error:
        if error.not_found:
            return ""
        raise


# What a refresh reports when it is not ready. It only reads all other kinds.
_AT_REFRESH: dict[str, Callable[[Cluster], Look]] = {
    "Deployment": lambda cluster: partial(deployment, cluster),
    "Job": lambda cluster: partial(job, cluster),
    "Service": lambda cluster: ServiceReadiness(cluster, settling=False),
    "StatefulSet": lambda cluster: partial(stateful_set, cluster),
}
_BY_KIND: dict[str, Callable[[Cluster], Look]] = {
    **_AT_REFRESH,
    "PersistentVolumeClaim": lambda cluster: partial(claim, cluster),
    "Service": ServiceReadiness,
}


def readiness(cluster: Cluster, inputs: Properties) -> Look | None:
    """Return how to tell that the object is ready, or None if no one waits for it. Raises WaitForError."""
    if annotated(inputs, SKIP):
        return None
    if look := wait_for(inputs):
        return look
    kind = _BY_KIND.get(inputs["kind"])
    return kind(cluster) if kind else None


def readiness_at_refresh(cluster: Cluster, inputs: Properties) -> Look | None:
    """Return the same for a refresh, or None if that only reads the object."""
    kind = _AT_REFRESH.get(inputs.get("kind") or "")
    return None if kind is None or annotated(inputs, SKIP) else kind(cluster)


def skips_deletion(inputs: Properties) -> bool:
    """Return whether no one waits for the deletion. The official provider heeds the annotation only for some kinds."""
    return annotated(inputs, SKIP) and inputs["kind"] in ("Deployment", "Job", "Namespace", "StatefulSet")


def wait_for(inputs: Properties) -> Look | None:
    """Return the look that pulumi.com/waitFor asks for, None without it. Raises WaitForError."""
    text = annotation(inputs, WAIT_FOR)
    if not text:
        return None
    if match := _CONDITION.fullmatch(text):
        return partial(_condition, match[1])
    match = _JSON_PATH.fullmatch(text)
    if match is None:
        expected = "jsonpath={.a.b} or condition=Type"
        raise WaitForError(f"must be {expected}; the lab's stand-in covers nothing else. {INSTALL_OFFICIAL}")
    keys = match[1][1:].split(".")

    def look(live: Properties) -> State:
        value = live
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return State(value not in (None, []), f"Waiting for {text}", problems=lambda: [f"{text}: not met"])

    return look


def _condition(kind: str, live: Properties) -> State:
    """An object has a condition once that is True."""
    conditions: list[Properties] = (live.get("status") or {}).get("conditions") or []
    found = next((each for each in conditions if each.get("type") == kind), {})
    reason = f"condition {kind} is {found.get('status') or 'missing'}: {found.get('message') or 'no message'}"
    return State(found.get("status") == "True", f"Waiting for condition {kind}", problems=lambda: [reason])
