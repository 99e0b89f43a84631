"""Reasons that take more than one pattern: pulls, starts and ends of containers, the database, and scheduling."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Sequence
from decimal import Decimal

from kubernetes.utils.quantity import parse_quantity  # pyright: ignore[reportUnknownVariableType] comes without types

from promotion.diagnosis.rules import Reason, explain, find_reason
from promotion.diagnosis.snapshot import Snapshot
from promotion.state.cluster.pods import Document, Pod, name, parse_time, part, parts

#: A container that ran for less crashed at its start.
START_SECONDS = 10.0
#: Exit codes above it are 128 plus the number of the signal that ended the process.
SIGNALLED = 128
#: Reasons of a container that the runtime cannot start.
UNSTARTABLE = frozenset({"CreateContainerError", "RunContainerError", "StartError"})
MEBIBYTE, GIBIBYTE = 2**20, 2**30


def pull_reason(message: str, image: str) -> Reason:
    # The image's own name must not be mistaken for the runtime's message.
    return explain("pull", message.replace(image, ""), image=image)


def start_reason(message: str) -> Reason:
    return explain("start", message, command="the container's command")


def end_reason(ended: Document, container: Document, killed_by_probe: str = "") -> Reason:
    """Return why a container's process ended."""
    reason, code = str(ended.get("reason", "")), int(ended["exitCode"])
    if reason in UNSTARTABLE:
        return start_reason(str(ended.get("message", "")))
    probe = f" probe={killed_by_probe}" if killed_by_probe else ""
    return explain(
        "end",
        f"{reason} code={code}{probe} {'early' if seconds_lived(ended) < START_SECONDS else 'late'}",
        exit=exit_text(code),
        limit=part(container, "resources", "limits").get("memory", "(none)"),
    )


def seconds_lived(ended: Document) -> float:
    """Return the seconds from start to end; 0 if the kubelet does not know them."""
    if not ended.get("startedAt") or not ended.get("finishedAt"):
        return 0.0
    return (parse_time(ended["finishedAt"]) - parse_time(ended["startedAt"])).total_seconds()


def exit_text(code: int) -> str:
    """Return an exit code with the name of its signal: ``exit code 139 (SIGSEGV)``."""
    names = {SIGNALLED + each.value: each.name for each in signal.Signals}
    return f"exit code {code} ({names[code]})" if code in names else f"exit code {code}"


def database_reason(lines: Sequence[str]) -> tuple[Reason, str] | None:
    """Return the reason in the newest line that reports trouble with the database, and that line."""
    for line in reversed(lines):
        if reason := find_reason("database", line):
            return reason, line
    return None


def unschedulable_reason(pod: Pod, message: str, snapshot: Snapshot) -> Reason:
    """Return why no node takes the pod; ``message`` is the scheduler's."""
    resource = next((each for each in ("memory", "cpu") if f"Insufficient {each}" in message), "")
    facts = _room(pod, resource, snapshot) if resource else {}
    return explain("unschedulable", message, taint="see the evidence", **facts)


def _room(pod: Pod, resource: str, snapshot: Snapshot) -> dict[str, str]:
    """Return how much of the resource the pod requests, and how much the emptiest node has left."""
    requested = _amount(resource, _requested(pod, resource)) + (" of memory" if resource == "memory" else "")
    facts = {"resource": resource, "requested": requested, "room": ""}
    if snapshot.nodes and snapshot.pods_everywhere is not None:
        free, total = max(_free(node, snapshot.pods_everywhere, resource) for node in snapshot.nodes)
        facts["room"] = f"; the emptiest has {_amount(resource, free)} left of {_amount(resource, total)}"
    return facts


def _free(node: Document, pods: Iterable[Pod], resource: str) -> tuple[Decimal, Decimal]:
    """Return how much the node has left, and how much it has for pods in total."""
    total = _quantity(node["status"]["allocatable"][resource])
    here = [
        pod
        for pod in pods
        if pod.document["spec"].get("nodeName") == name(node)
        and pod.document["status"].get("phase") not in ("Succeeded", "Failed")
    ]
    return max(total - sum((_requested(pod, resource) for pod in here), Decimal()), Decimal()), total


def _requested(pod: Pod, resource: str) -> Decimal:
    containers = parts(pod.document, "spec", "containers")
    return sum((_quantity(part(each, "resources", "requests").get(resource, "0")) for each in containers), Decimal())


def _quantity(text: str) -> Decimal:
    return parse_quantity(text)


def _amount(resource: str, amount: Decimal) -> str:
    if resource == "cpu":
        return f"{float(amount):.3g} CPUs"
    return f"{float(amount) / GIBIBYTE:.1f} GiB" if amount >= GIBIBYTE else f"{int(amount / MEBIBYTE)} MiB"
