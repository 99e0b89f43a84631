"""Readiness and restarts of the pods: checks that need no traffic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from promotion.state.cluster.pods import Document, Pod, condition, parse_time
from promotion.verdict.result import Check, Result

#: Reasons of a waiting container that waiting does not fix. (ErrImagePull is a first failure: Kubernetes retries,
#: and it becomes ImagePullBackOff.)
HOPELESS = {
    "CrashLoopBackOff": "the container keeps crashing after its start",
    "ImagePullBackOff": "the image cannot be pulled",
    "InvalidImageName": "the image's name is not valid",
    "CreateContainerConfigError": "a Secret or ConfigMap that the pod needs is missing",
    "CreateContainerError": "the container cannot be created",
    "RunContainerError": "the container's command cannot be run",
}
#: Reasons of a container that is starting normally.
STARTING = ("", "ContainerCreating", "PodInitializing")
#: How many times stable's rate of restarts, or of not being ready, puts the blame on the canary alone.
COMMON_RATIO = 3.0
HIGHEST_SIGNAL = 64
#: Share of the looks in which a pod may be not ready.
UNREADY_SHARE = 0.1


def is_hopeless(pod: Pod) -> bool:
    """Whether waiting will not get the pod started."""
    return pod.waiting.get("reason") in HOPELESS


def trouble(pod: Pod) -> str:
    """Say in a few words why the pod waits and how it ended last; "" if nothing is wrong."""
    reason, message = str(pod.waiting.get("reason") or ""), pod.waiting.get("message") or ""
    scheduled = condition(pod.document, "PodScheduled")
    waits = ""
    if reason in HOPELESS:
        waits = f"{reason}: {HOPELESS[reason]}"
    elif reason not in STARTING:
        waits = f"{reason}: {message}".rstrip(": ")
    elif scheduled.get("status") == "False":
        waits = f"Pending: {scheduled.get('message') or scheduled.get('reason')}"
    return "; ".join(each for each in (waits, _last_end(pod.last_end)) if each)


def _last_end(end: Document) -> str:
    if not end:
        return ""
    if end.get("reason") == "OOMKilled":
        return "it was killed for using more memory than memoryLimit"
    code = int(end["exitCode"])
    signal = f" (signal {code - 128})" if 128 < code <= 128 + HIGHEST_SIGNAL else ""
    return f"it ended with exit code {code}{signal}"


@dataclass
class PodWatch:
    """Readiness and restarts of one track's pods, summed up over the looks of a trial."""

    wanted: int = 0
    looks: int = 0
    unready: int = 0
    """Pods wanted and not ready, summed over the looks."""
    trouble: str = ""
    hopeless: str = ""
    _restarts: dict[str, int] = field(default_factory=dict[str, int])
    _ignored: dict[str, int] = field(default_factory=dict[str, int])

    def look(self, pods: Sequence[Pod], wanted: int, since: datetime | None = None) -> None:
        """Add one look at the pods. Restarts before ``since`` are not counted; None counts all."""
        self.wanted = wanted
        self.looks += 1
        self.unready += max(0, wanted - sum(pod.ready for pod in pods))
        for pod in pods:
            if pod.uid not in self._ignored:
                self._ignored[pod.uid] = _restarts_before(pod, since)
            self._restarts[pod.uid] = max(0, pod.restarts - self._ignored[pod.uid])
        troubled = sorted((pod for pod in pods if trouble(pod)), key=lambda pod: pod.ready)
        lost = [pod for pod in troubled if is_hopeless(pod)]
        if troubled and (lost or any(pod.restarts for pod in troubled) or not troubled[0].ready):
            self.trouble = f"pod {troubled[0].name}: {trouble(troubled[0])}"
        self.hopeless = f"pod {lost[0].name}: {trouble(lost[0])}" if lost else ""

    @property
    def restarts(self) -> int:
        """Restarts of all pods seen."""
        return sum(self._restarts.values())

    @property
    def pods(self) -> int:
        """Number of pods seen."""
        return len(self._restarts)


def _restarts_before(pod: Pod, since: datetime | None) -> int:
    """Count the restarts before ``since``: Kubernetes keeps the time of the last one only."""
    if since is None or not pod.restarts:
        return 0
    ended = pod.last_end.get("finishedAt")
    return pod.restarts - (1 if ended and parse_time(ended) >= since else 0)


def restarts_check(canary: PodWatch, stable: PodWatch) -> Check:
    """Blame the canary for its restarts, unless stable's pods restart as well."""
    per_canary, per_stable = canary.restarts / max(1, canary.pods), stable.restarts / max(1, stable.pods)
    result, reason = _blame(
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
        "restarts of containers since the canary started",
        result,
        reason,
    )


def readiness_check(canary: PodWatch, stable: PodWatch, planned_looks: int) -> Check:
    """Require readiness in nearly all planned looks: a canary that is lost early then fails early."""
    allowed = max(1, int(UNREADY_SHARE * planned_looks * canary.wanted))
    share = canary.unready / max(1, canary.looks * canary.wanted)
    stable_share = stable.unready / max(1, stable.looks * stable.wanted)
    cause = canary.hopeless or canary.trouble or "its readiness probe fails"
    result, reason = _blame(
        bad=bool(canary.hopeless) or canary.unready > allowed,
        stable_too=bool(stable.hopeless) if canary.hopeless else 0 < share < COMMON_RATIO * stable_share,
        why=f"{_times(canary.unready)} not ready when looked at; {cause}",
        stable_why=f"stable's pods were not ready either ({_times(stable.unready)})",
    )
    return Check(
        "readiness",
        f"{canary.unready} not ready, stable {stable.unready}",
        str(allowed),
        f"{canary.looks} looks at {canary.wanted} canary, {stable.wanted} stable pods",
        "pods that were not ready, summed over the looks",
        result,
        reason,
    )


def _blame(bad: bool, stable_too: bool, why: str, stable_why: str) -> tuple[Result, str]:
    if not bad:
        return "healthy", ""
    if stable_too:
        return "inconclusive", f"{why}; but {stable_why}: look for a shared cause, such as a node or the database"
    return "unhealthy", why


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
