"""What each track runs, by the engine's own state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from contract.image import digest_of

#: Parts of URNs of a track and its Deployment. The package before them is `addressbook` in older states.
TRACK = ":release:Track::"
TRACK_DEPLOYMENT = ":release:Track$kubernetes:apps/v1:Deployment::"


@dataclass(frozen=True)
class DeployedTrack:
    """A track's Deployment as the state has it; ``image`` is REPOSITORY@sha256:DIGEST."""

    image: str
    replicas: int

    @property
    def digest(self) -> str:
        """``sha256:…``"""
        return digest_of(self.image)


@dataclass(frozen=True)
class StackState:
    """The deployed ``tracks`` by name; ``known_tracks`` also has those without a Deployment, such as half-removed ones.

    ``interrupted`` are the URNs of operations that an update did not finish.
    """

    tracks: Mapping[str, DeployedTrack] = field(default_factory=dict[str, DeployedTrack])
    known_tracks: frozenset[str] = frozenset()
    interrupted: Sequence[str] = ()

    @classmethod
    def of(cls, deployment: Mapping[str, Any]) -> StackState:
        """Read an exported deployment."""
        tracks: dict[str, DeployedTrack] = {}
        known: set[str] = set()
        for resource in cast(list[dict[str, Any]], deployment.get("resources") or []):
            urn = str(resource["urn"])
            if TRACK in urn:
                known.add(urn.rpartition("::")[2])
            if TRACK_DEPLOYMENT in urn and not resource.get("delete"):
                spec = resource["inputs"]["spec"]
                image = spec["template"]["spec"]["containers"][0]["image"]
                if isinstance(image, str):
                    tracks[urn.rpartition("-")[2]] = DeployedTrack(image, int(spec.get("replicas", 1)))
        pending = cast(list[dict[str, Any]], deployment.get("pending_operations") or [])
        return cls(tracks, frozenset(known), [str(operation["resource"]["urn"]) for operation in pending])
