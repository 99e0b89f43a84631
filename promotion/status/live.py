"""The tracks as the cluster runs them now: pods, share of the users, source revision, errors and latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from contract.image import digest_of
from contract.judging import RequestMetrics
from promotion.state.cluster.cluster import Cluster, Track
from promotion.state.cluster.counters import CounterDeltas, Counters, total
from promotion.state.cluster.metrics import read_pods
from promotion.state.cluster.pods import Pod, labels

TRACKS: tuple[Track, ...] = ("stable", "canary")


@dataclass(frozen=True)
class Served:
    """Users' requests that a track answered; times in milliseconds, None without requests."""

    requests: int
    error_percent: float | None
    median_ms: float | None
    p90_ms: float | None

    @classmethod
    def of(cls, counters: Counters) -> Served:
        """Sum up all routes."""
        if not counters.total:
            return cls(0, None, None, None)
        median, tail = counters.milliseconds(0.5), counters.milliseconds(0.9)
        return cls(round(counters.total), counters.error_percent, median, tail)


@dataclass(frozen=True)
class LiveTrack:
    """A track in the cluster.

    ``share`` is the percentage of users, by the Gateway's weight or by ready pods behind the public Service.
    ``revision`` is the Git commit that the pods report, "" if they report none. ``served`` is None if no metrics could
    be read; ``unread`` says why.
    """

    image: str
    wanted: int
    ready: int
    pods: int
    share: float
    revision: str
    served: Served | None
    unread: str = ""

    @property
    def digest(self) -> str:
        """``sha256:…``"""
        return digest_of(self.image)


@dataclass
class Meter:
    """Read the pods' metrics: since the pods started with ``lifetime``, otherwise since the last look."""

    lifetime: bool
    metrics: RequestMetrics
    _deltas: dict[Track, CounterDeltas] = field(default_factory=dict[Track, CounterDeltas])

    def look(self, cluster: Cluster, track: Track, pods: Sequence[Pod]) -> tuple[Served | None, str, str]:
        """Return the track's requests, its revision, and the reason if no metrics could be read."""
        readings = read_pods(cluster, pods, self.metrics)
        revision = next((reading.revision for reading in readings if reading.revision), "")
        is_first = track not in self._deltas
        added = self._deltas.setdefault(track, CounterDeltas()).add(readings)
        counters = [reading.counters for reading in readings if reading.counters]
        if not counters:
            return None, revision, next((reading.unread for reading in readings), "")
        return Served.of(total(counters) if self.lifetime or is_first else added), revision, ""


def live_tracks(cluster: Cluster, meter: Meter, weights: Mapping[str, float]) -> dict[Track, LiveTrack]:
    """Return the tracks that have a Deployment. ``weights`` are the Gateway's, in percent; {}: users by pods.

    Raises UnreachableError if the cluster does not answer.
    """
    pods = {track: cluster.pods(track) for track in TRACKS}
    selector = cluster.public_selector()
    behind = {
        track: sum(pod.ready and selector.items() <= labels(pod.document).items() for pod in pods[track])
        for track in TRACKS
    }
    everyone = sum(behind.values())
    tracks: dict[Track, LiveTrack] = {}
    for track in TRACKS:
        deployment = cluster.deployment(track)
        if deployment is None:
            continue
        # During a rollout the track also has pods of the previous image; their requests must not count.
        current = [pod for pod in pods[track] if pod.image == deployment.image and pod.running]
        served, revision, unread = meter.look(cluster, track, current)
        tracks[track] = LiveTrack(
            deployment.image,
            deployment.replicas,
            sum(pod.ready for pod in pods[track]),
            len(pods[track]),
            weights.get(track, 0.0) if weights else round(100 * behind[track] / everyone, 1) if everyone else 0.0,
            revision,
            served,
            unread,
        )
    return tracks
