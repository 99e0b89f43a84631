"""What a trial has seen so far, for everything that shows it while it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from promotion.state.cluster.cluster import Track
from promotion.state.cluster.counters import Counters
from promotion.state.cluster.pods import Pod
from promotion.state.verdict_record import utc_stamp
from promotion.verdict.pods import trouble
from promotion.verdict.result import Check

Phase = Literal["starting", "testing", "warming up", "watching"]

#: Shares of requests whose times are shown.
MEDIAN, TAIL = 0.5, 0.9


@dataclass(frozen=True)
class PodSeen:
    """A pod; ``trouble`` says why it is not ready, or how it ended last."""

    name: str
    ready: bool
    restarts: int
    trouble: str

    @classmethod
    def of(cls, pod: Pod) -> PodSeen:
        """Describe the pod."""
        return cls(pod.name, pod.ready, pod.restarts, trouble(pod))


@dataclass(frozen=True)
class TrackSeen:
    """A track's pods, of which it wants ``wanted``, and what users got from them since the look before.

    Times are in milliseconds over all routes: good to look at, not to judge by. None: no requests.
    """

    image: str
    wanted: int
    pods: Sequence[PodSeen]
    requests: float = 0.0
    error_percent: float | None = None
    median: float | None = None
    tail: float | None = None

    @classmethod
    def of(cls, image: str, wanted: int, pods: Sequence[Pod], latest: Counters) -> TrackSeen:
        """Describe a track by its pods and the requests of the last interval."""
        figures = latest.total, latest.error_percent, latest.milliseconds(MEDIAN), latest.milliseconds(TAIL)
        return cls(image, wanted, [PodSeen.of(pod) for pod in pods], *figures)


@dataclass(frozen=True)
class Observation:
    """A trial at one look. ``line`` says in one line what is new.

    ``seconds`` of the ``planned`` ones are over; the time before ``watching`` does not count. ``checks`` are the ones
    judged so far: none is final before the verdict.
    """

    at: datetime
    phase: Phase
    line: str
    seconds: float
    planned: float
    tracks: Mapping[Track, TrackSeen]
    checks: Sequence[Check] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """Return the observation for scripts; the time in UTC."""
        return {**asdict(self), "at": utc_stamp(self.at)}
