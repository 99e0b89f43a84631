"""Readiness and restarts of the pods: checks that need no traffic."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime

from promotion.state.cluster.pods import UNSEEN_ENDS, Document, Pod, condition, parse_time
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
#: Exit code of a container that was killed by SIGKILL (128 + 9).
KILLED = 137
#: Maximum seconds between the end of a container and the event of its node that explains it.
OOM_SECONDS = 30


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
    """Readiness and restarts of one track's pods, summed up over the looks of a trial.

    A pod that was evicted, deleted or lost with its node is noted. It does not count until its replacement is ready.
    """

    wanted: int = 0
    looks: int = 0
    unready: int = 0
    """Pods wanted and not ready, summed over the looks."""
    excused: int = 0
    """Pods that were not ready because of a disruption, summed over the looks."""
    trouble: str = ""
    hopeless: str = ""
    notes: list[str] = field(default_factory=list[str])
    _restarts: dict[str, int] = field(default_factory=dict[str, int])
    _ignored: dict[str, int] = field(default_factory=dict[str, int])
    _losses: int = 0
    _present: dict[str, str] = field(default_factory=dict[str, str])
    _first: set[str] = field(default_factory=set[str])
    _replacements: set[str] = field(default_factory=set[str])

    def look(
        self,
        pods: Sequence[Pod],
        wanted: int,
        since: datetime | None = None,
        lost_nodes: Set[str] = frozenset(),
        node_ooms: Sequence[tuple[str, datetime]] = (),
    ) -> None:
        """Add one look at the pods. Restarts before ``since`` are not counted; None counts all.

        ``lost_nodes`` are nodes that are not ready; ``node_ooms`` are nodes that ran out of memory, and when.
        """
        self.wanted = wanted
        self.looks += 1
        on_lost_nodes = [pod for pod in pods if pod.node in lost_nodes]
        for pod in on_lost_nodes:
            self._note(f"pod {pod.name} is on node {pod.node}, which is not ready")
        self._note_losses(pods)
        pods = [pod for pod in pods if not pod.disruption]
        unready = max(0, wanted - sum(pod.ready for pod in pods))
        excused = min(unready, len(on_lost_nodes) + max(0, self._losses - len(self._replacements)))
        self.excused += excused
        self.unready += unready - excused
        for pod in pods:
            self._count_restarts(pod, since, node_ooms)
        troubled = sorted((pod for pod in pods if trouble(pod)), key=lambda pod: pod.ready)
        hopeless = [pod for pod in troubled if is_hopeless(pod)]
        if troubled and (hopeless or any(self._restarts[pod.uid] for pod in troubled) or not troubled[0].ready):
            self.trouble = f"pod {troubled[0].name}: {trouble(troubled[0])}"
        self.hopeless = f"pod {hopeless[0].name}: {trouble(hopeless[0])}" if hopeless else ""

    def _note_losses(self, pods: Sequence[Pod]) -> None:
        """Count the pods that were disrupted since the first look, and their ready replacements."""
        remaining = {pod.uid: pod for pod in pods if not pod.disruption}
        if self.looks == 1:
            self._first = set(remaining)
        reasons = {pod.uid: pod.disruption for pod in pods}
        for uid in self._present.keys() - remaining.keys():
            self._losses += 1
            self._note(f"pod {self._present[uid]} was disrupted ({reasons.get(uid, 'it was deleted')})")
        self._present = {uid: pod.name for uid, pod in remaining.items()}
        self._replacements |= {uid for uid, pod in remaining.items() if pod.ready and uid not in self._first}

    def _note(self, what: str) -> None:
        if (note := f"{what}; this does not count against it") not in self.notes:
            self.notes.append(note)

    def _count_restarts(self, pod: Pod, since: datetime | None, node_ooms: Sequence[tuple[str, datetime]]) -> None:
        if pod.uid not in self._ignored:
            self._ignored[pod.uid] = _restarts_before(pod, since)
        restarts = max(0, pod.restarts - self._ignored[pod.uid])
        if restarts > self._restarts.get(pod.uid, 0) and (cause := _outside_cause(pod, node_ooms)):
            self._ignored[pod.uid] += 1
            restarts -= 1
            self._note(f"pod {pod.name} restarted because {cause}")
        self._restarts[pod.uid] = restarts

    @property
    def restarts(self) -> int:
        """Restarts of all pods seen."""
        return sum(self._restarts.values())

    @property
    def pods(self) -> int:
        """Number of pods seen."""
        return len(self._restarts)


def _outside_cause(pod: Pod, node_ooms: Sequence[tuple[str, datetime]]) -> str:
    """Return why something outside the container ended it last; "" if it ended itself or exceeded its memory limit."""
    end = pod.last_end
    if end.get("reason") in UNSEEN_ENDS:
        return f"its node or the container runtime was restarted (reason {end['reason']})"
    if end.get("exitCode") == KILLED and end.get("finishedAt"):
        ended = parse_time(str(end["finishedAt"]))
        near = [
            time for node, time in node_ooms if node == pod.node and abs((time - ended).total_seconds()) <= OOM_SECONDS
        ]
        return f"node {pod.node} itself ran out of memory" if near else ""
    return ""


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
    allowed = max(1, int(UNREADY_SHARE * max(planned_looks, canary.looks) * canary.wanted))
    share = canary.unready / max(1, canary.looks * canary.wanted)
    stable_share = stable.unready / max(1, stable.looks * stable.wanted)
    cause = canary.hopeless or canary.trouble or "its readiness probe fails"
    result, reason = _blame(
        bad=bool(canary.hopeless) or canary.unready > allowed,
        stable_too=bool(stable.hopeless) if canary.hopeless else 0 < share < COMMON_RATIO * stable_share,
        why=f"{_times(canary.unready)} not ready when looked at; {cause}",
        stable_why=f"stable's pods were not ready either ({_times(stable.unready)})",
    )
    if result == "healthy" and canary.excused > allowed:
        result, reason = "inconclusive", f"{canary.notes[-1]}. Start another trial when the pods are ready"
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
