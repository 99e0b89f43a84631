"""Each track's share of the users."""

from __future__ import annotations

from dataclasses import dataclass

from contract.settings import ReleaseSettings


@dataclass(frozen=True)
class Share:
    """A track's pods, and their share of the users' connections in percent."""

    replicas: int
    percent: float


def traffic_shares(release: ReleaseSettings) -> dict[str, Share]:
    """Return each declared track's share of the users: its part of the pods behind the public Service."""
    replicas = {"stable": release.stable_replicas}
    if release.has_canary:
        replicas["canary"] = release.canary_replicas
    public = {track: count for track, count in replicas.items() if release.traffic in ("split", track)}
    total = sum(public.values())
    return {track: Share(count, round(100 * public.get(track, 0) / total, 1)) for track, count in replicas.items()}
