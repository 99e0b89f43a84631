"""Kubernetes objects in the API server's form, and a reader that answers from the test's data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from promotion.diagnosis.diagnose import Finding, examine
from promotion.diagnosis.masking import Mask
from promotion.diagnosis.snapshot import PodReader, Snapshot
from promotion.state.cluster.pods import Pod

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
LONG_AGO = "2026-01-01T11:00:00Z"
JUST_NOW = "2026-01-01T11:59:55Z"
SERVICE = "shop"
IMAGE = "registry.example/shop@sha256:" + "a" * 64
CANARY_POD = "shop-canary-1-a"


class FakeReader(PodReader):
    """Answers from the test's data instead of the cluster, and notes each log that is read."""

    def __init__(self, logs: Mapping[str, list[str]] | None = None, answer: str = "", secrets: tuple[str, ...] = ()):
        self._logs = logs or {}
        self._answer = answer
        self._mask = Mask(secrets)
        self.read: list[tuple[str, bool]] = []

    def log(self, pod: Pod, container: str, previous: bool) -> tuple[str, ...]:
        self.read.append((pod.name, previous))
        return tuple(self._mask(line) for line in self._logs.get(pod.name, []))

    def probe_answer(self, pod: Pod, port: int, path: str) -> str:
        return self._answer


def meta(name: str, *, track: str | None = "canary", owner: str = "", created: str = LONG_AGO, **labels: str) -> Any:
    own = {"app": SERVICE, **({"track": track} if track else {}), **labels}
    owned = [{"uid": owner, "kind": "ReplicaSet", "name": owner}] if owner else []
    return {
        "name": name,
        "uid": f"uid of {name}",
        "labels": own,
        "creationTimestamp": created,
        "ownerReferences": owned,
    }


def pod(
    name: str = CANARY_POD,
    *,
    state: Any = None,
    last: Any = None,
    ready: bool = False,
    restarts: int = 0,
    scheduled: str = "",
    container: Any = None,
    started: bool = True,
    phase: str = "Running",
    metadata: Any = None,
    **spec: Any,
) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    if scheduled:
        conditions.append({"type": "PodScheduled", "status": "False", "message": scheduled})
    status = {
        "name": "main",
        "image": IMAGE,
        "ready": ready,
        "started": started,
        "restartCount": restarts,
        "state": state or {},
        "lastState": {"terminated": last} if last else {},
    }
    return {
        "metadata": metadata or meta(name, owner="shop-canary-1"),
        "spec": {"containers": [{"name": "main", "image": IMAGE, **(container or {})}], **spec},
        "status": {
            "phase": phase,
            "conditions": conditions,
            "containerStatuses": [] if scheduled else [status],
        },
    }


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def ended(code: int, reason: str = "Error", lived: int = 1, message: str = "", at: str = "2026-01-01T11:59:30") -> Any:
    finished = datetime.fromisoformat(at).replace(tzinfo=UTC)
    began = datetime.fromtimestamp(finished.timestamp() - lived, UTC)
    stamps = {"startedAt": began.isoformat(), "finishedAt": finished.isoformat()}
    return {"exitCode": code, "reason": reason, "message": message, **stamps}


RUNNING = {"running": {"startedAt": LONG_AGO}}
CRASHED = waiting("CrashLoopBackOff", "back-off 40s restarting failed container")


def event(about: Mapping[str, Any], reason: str, message: str, kind: str = "Warning", at: str = JUST_NOW) -> Any:
    meta_of = about["metadata"]
    return {
        "metadata": {"name": "event", "creationTimestamp": at},
        "involvedObject": {"uid": meta_of["uid"], "name": meta_of["name"], "kind": "Pod"},
        "reason": reason,
        "message": message,
        "type": kind,
        "lastTimestamp": at,
        "count": 3,
    }


def findings(*pods: Any, reader: FakeReader | None = None, track: Any = None, **objects: Any) -> list[Finding]:
    """Diagnose a namespace with these pods and other objects."""
    everywhere = [Pod(each) for each in objects.pop("pods_everywhere", ())]
    snapshot = Snapshot(SERVICE, [Pod(each) for each in pods], taken=NOW, pods_everywhere=everywhere, **objects)
    return examine(snapshot, reader or FakeReader(), track)


def only_finding(*pods: Any, reader: FakeReader | None = None, **objects: Any) -> Finding:
    """Return the one finding in a namespace with these pods and other objects."""
    (finding,) = findings(*pods, reader=reader, **objects)
    return finding
