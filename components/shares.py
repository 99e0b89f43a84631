"""Who of the users meets which track."""

from __future__ import annotations

from dataclasses import dataclass

from contract.settings import ReleaseSettings, Traffic


@dataclass(frozen=True)
class Share:
    """A track's pods and the share of the users' connections that they get, in percent."""

    replicas: int
    percent: float


def traffic_shares(release: ReleaseSettings) -> dict[str, Share]:
    """Share of users of each declared track: that of its replicas among those behind the public Service."""
    replicas = {"stable": release.stable_replicas}
    if release.has_canary:
        replicas["canary"] = release.canary_replicas
    open_tracks: Traffic = release.traffic
    behind = {track: count for track, count in replicas.items() if open_tracks in ("split", track)}
    total = sum(behind.values())
    return {track: Share(count, round(100 * behind.get(track, 0) / total, 1)) for track, count in replicas.items()}
