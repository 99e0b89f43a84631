"""The moves of a release as edits of its config: what changes in the stack file, and nothing else."""

from __future__ import annotations

from contract.settings import ReleaseSettings
from promotion.state.stack_file import Edits

#: Pods of a canary, and what stable keeps beside it where it has that many: the book's CANARY_PODS and STABLE_PODS.
CANARY_REPLICAS = 1
STABLE_BESIDE_CANARY = 2


def promised_replicas(release: ReleaseSettings) -> int:
    """Replicas of stable without a canary beside it."""
    return release.stable_replicas_after_trial or release.stable_replicas


def stable_beside(promised: int, canary: int) -> int:
    """Replicas of stable while a canary is on trial: it gives up as many as the canary has, down to two."""
    return max(promised - canary, min(promised, STABLE_BESIDE_CANARY))


def canary(
    release: ReleaseSettings,
    image: str,
    replicas: int = CANARY_REPLICAS,
    stable_replicas: int | None = None,
    stable_image: str = "",
    traffic: str | None = None,
) -> Edits:
    """Put an image on trial. ``stable_image`` pins a stable that was built from source to what it runs."""
    promised = promised_replicas(release)
    beside = stable_beside(promised, replicas) if stable_replicas is None else stable_replicas
    told = release.canary_verdict.split(" ")[1:2]
    return {
        **({"stableImage": stable_image} if stable_image and not release.stable_image else {}),
        **({"stableReplicas": str(beside)} if beside != release.stable_replicas else {}),
        "stableReplicasAfterTrial": str(promised) if promised != beside else None,
        "canaryImage": image,
        "canaryReplicas": str(replicas),
        **({} if told == [image.partition("@")[2]] else {"canaryVerdict": None}),
        **({"traffic": traffic if traffic != "split" else None} if traffic else {}),
    }


def without_canary(release: ReleaseSettings) -> Edits:
    """Stable back to its replicas, no canary, the public Service on what is left."""
    return {
        **_stable_back(release),
        "canaryImage": None,
        "canaryReplicas": None,
        **({"traffic": None} if release.traffic == "canary" else {}),
    }


def promote(release: ReleaseSettings) -> Edits:
    """Stable takes the canary's image; the verdict that allowed it stays on record."""
    return {"stableImage": release.canary_image, **without_canary(release)}


def stable_to(release: ReleaseSettings, image: str, verdict: str | None) -> Edits:
    """Stable takes an earlier image; ``verdict`` is what is recorded of the one it leaves."""
    return {"stableImage": image, **without_canary(release), **({"canaryVerdict": verdict} if verdict else {})}


def traffic(release: ReleaseSettings, to: str) -> Edits:
    """Point the public Service at other tracks.

    All users on the canary alone need all the pods that were promised to them, and so does the way back.
    """
    if to != "canary":
        return {"traffic": None if to == "split" else to}
    promised = promised_replicas(release)
    return {
        "traffic": to,
        "canaryReplicas": str(max(release.canary_replicas, promised)),
        **_stable_back(release),
    }


def _stable_back(release: ReleaseSettings) -> Edits:
    promised = promised_replicas(release)
    back = {"stableReplicas": str(promised)} if promised != release.stable_replicas else {}
    return {**back, "stableReplicasAfterTrial": None}
