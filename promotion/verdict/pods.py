"""What the pods themselves say: started, ready, restarted. It needs no traffic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from kubernetes.client import V1Pod

from promotion.state.cluster.cluster import service_container
from promotion.verdict.result import Check, Result

#: Reasons for which a container waits and that waiting does not mend. (ErrImagePull is a first failure: it is retried,
#: and becomes ImagePullBackOff.)
HOPELESS = {
    "CrashLoopBackOff": "it ends again and again after its start",
    "ImagePullBackOff": "its image cannot be pulled",
    "InvalidImageName": "its image's name is not valid",
    "CreateContainerConfigError": "a Secret or ConfigMap that it needs is missing",
    "CreateContainerError": "its container cannot be made",
    "RunContainerError": "its command cannot be run",
}
#: How many times more often than stable's the canary's pods must restart, or not be ready, to be blamed for it alone.
COMMON_RATIO = 3.0
HIGHEST_SIGNAL = 64
#: Share of the looks in which a pod may be found not ready.
UNREADY_SHARE = 0.1


@dataclass(frozen=True)
class PodState:
    """A pod as it was found at one look."""

    name: str
    uid: str
    created: datetime
    ready: bool
    restarts: int
    trouble: str
    """Why it waits or ended last, in a few words; empty where nothing is wrong."""
    hopeless: bool
    restarted: datetime | None
    """When its container ended last."""
    running: bool

    @classmethod
    def of(cls, pod: V1Pod) -> PodState:
        """Read from what the API server says of the pod."""
        live = cast(Any, pod)
        conditions = {str(each.type): each for each in cast(list[Any], live.status.conditions or [])}
        statuses = cast(list[Any], live.status.container_statuses or [])
        container = next((each for each in statuses if each.name == service_container(pod).name), None)
        waiting = container.state.waiting if container else None
        ended = container.last_state.terminated if container and container.last_state else None
        running = container.state.running if container else None
        scheduled = conditions.get("PodScheduled")
        trouble = ""
        if waiting and waiting.reason in HOPELESS:
            trouble = f"{waiting.reason}: {HOPELESS[waiting.reason]}"
        elif waiting and waiting.reason not in (None, "ContainerCreating", "PodInitializing"):
            trouble = f"{waiting.reason}: {waiting.message or ''}".rstrip(": ")
        elif scheduled and scheduled.status == "False":
            trouble = f"Pending: {scheduled.message or scheduled.reason}"
        if ended:
            trouble = (f"{trouble}; " if trouble else "") + _ended(ended)
        return cls(
            name=live.metadata.name,
            uid=live.metadata.uid,
            created=live.metadata.creation_timestamp,
            ready=bool(conditions.get("Ready")) and conditions["Ready"].status == "True",
            restarts=container.restart_count if container else 0,
            trouble=trouble,
            hopeless=bool(waiting and waiting.reason in HOPELESS),
            restarted=ended.finished_at if ended else None,
            running=running is not None,
        )


def _ended(ended: Any) -> str:
    if ended.reason == "OOMKilled":
        return "it was ended for using more memory than memoryLimit"
    signal = f", by signal {ended.exit_code - 128}" if 128 < ended.exit_code <= 128 + HIGHEST_SIGNAL else ""
    return f"it ended with exit code {ended.exit_code}{signal}"


@dataclass
class PodWatch:
    """One track's pods through a trial."""

    wanted: int = 0
    looks: int = 0
    unready: int = 0
    """Pods wanted and not ready, summed over the looks."""
    _restarts: dict[str, int] = field(default_factory=dict[str, int])
    _before: dict[str, int] = field(default_factory=dict[str, int])
    trouble: str = ""
    hopeless: str = ""

    def look(self, pods: Sequence[PodState], wanted: int, since: datetime | None = None) -> None:
        """Take what was found at one look. Restarts before ``since`` are left out; None takes all."""
        self.wanted = wanted
        self.looks += 1
        self.unready += max(0, wanted - sum(pod.ready for pod in pods))
        for pod in pods:
            if pod.uid not in self._before:
                self._before[pod.uid] = _restarts_until(pod, since)
            self._restarts[pod.uid] = max(0, pod.restarts - self._before[pod.uid])
        troubled = sorted((pod for pod in pods if pod.trouble), key=lambda pod: pod.ready)
        lost = [pod for pod in troubled if pod.hopeless]
        if troubled and (lost or any(pod.restarts for pod in troubled) or not troubled[0].ready):
            self.trouble = f"pod {troubled[0].name}: {troubled[0].trouble}"
        self.hopeless = f"pod {lost[0].name}: {lost[0].trouble}" if lost else ""

    @property
    def restarts(self) -> int:
        """Restarts of all pods that were seen."""
        return sum(self._restarts.values())

    @property
    def pods(self) -> int:
        """Pods that were seen."""
        return len(self._restarts)


def _restarts_until(pod: PodState, since: datetime | None) -> int:
    """Restarts that are not counted: of those before the first look it is known when the last one was."""
    if since is None or not pod.restarts:
        return 0
    return pod.restarts - (1 if pod.restarted and pod.restarted >= since else 0)


def restarts_check(canary: PodWatch, stable: PodWatch) -> Check:
    """A canary that restarts is bad, unless stable's pods restart as well: then something common is."""
    per_canary, per_stable = canary.restarts / max(1, canary.pods), stable.restarts / max(1, stable.pods)
    result, reason = _held_against(
        bad=canary.restarts > 0,
        stable_too=stable.restarts > 0 and per_canary < COMMON_RATIO * per_stable,
        why=f"{_times(canary.restarts)} restarted; {canary.trouble or 'the container ended'}",
        stable_why=f"stable's pods restarted too ({_times(stable.restarts)})",
    )
    return Check(
        "restarts",
        f"{canary.restarts}, stable {stable.restarts}",
        "0",
        f"{canary.pods} canary, {stable.pods} stable pods",
        "restarts of containers since the canary's pods are there",
        result,
        reason,
    )


def readiness_check(canary: PodWatch, stable: PodWatch, planned_looks: int) -> Check:
    """Ready in nearly all looks; counted against the planned ones, so that what is lost early is known early."""
    allowed = max(1, int(UNREADY_SHARE * planned_looks * canary.wanted))
    share = canary.unready / max(1, canary.looks * canary.wanted)
    stable_share = stable.unready / max(1, stable.looks * stable.wanted)
    trouble = canary.hopeless or canary.trouble or "its readiness probe fails"
    result, reason = _held_against(
        bad=bool(canary.hopeless) or canary.unready > allowed,
        stable_too=bool(stable.hopeless) if canary.hopeless else 0 < share < COMMON_RATIO * stable_share,
        why=f"{_times(canary.unready)} not ready when looked at; {trouble}",
        stable_why=f"stable's pods were not ready either ({_times(stable.unready)})",
    )
    return Check(
        "readiness",
        f"{canary.unready} not ready, stable {stable.unready}",
        str(allowed),
        f"{canary.looks} looks at {canary.wanted} canary, {stable.wanted} stable pods",
        "pods found not ready, summed over the looks",
        result,
        reason,
    )


def _held_against(bad: bool, stable_too: bool, why: str, stable_why: str) -> tuple[Result, str]:
    if not bad:
        return "healthy", ""
    if stable_too:
        return "inconclusive", f"{why}; but {stable_why}: look for the cause in what both use (node, database)"
    return "unhealthy", why


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def now() -> datetime:
    """The time, in UTC to the second, as Kubernetes writes times."""
    return datetime.now(UTC).replace(microsecond=0)
