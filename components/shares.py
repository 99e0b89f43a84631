"""Each track's share of the users: by the Gateway's weight, or by its pods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from contract.settings import ReleaseSettings


@dataclass(frozen=True)
class Share:
    """A track's pods, and its share of the users in percent: of their requests by weight, else of their connections."""

    replicas: int
    percent: float


def traffic_shares(release: ReleaseSettings) -> dict[str, Share]:
    """Return each declared track's share of the users."""
    replicas = {"stable": release.stable_replicas}
    if release.has_canary:
        replicas["canary"] = release.canary_replicas
    return {track: Share(count, _percent(release, replicas, track)) for track, count in replicas.items()}


def _percent(release: ReleaseSettings, replicas: Mapping[str, int], track: str) -> float:
    if release.traffic != "split" or len(replicas) == 1:
        return 100.0 if track == ("stable" if release.traffic == "split" else release.traffic) else 0.0
    if release.canary_weight:
        canary = float(release.canary_weight)
        return canary if track == "canary" else round(100 - canary, 1)
    return round(100 * replicas[track] / sum(replicas.values()), 1)
