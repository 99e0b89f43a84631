"""Each step of a release as edits of its config: what changes in the stack file, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import ceil
from typing import Any

from contract.image import digest_of
from contract.settings import CanaryKeys, ReleaseSettings
from promotion.operations.settings_edits import canary_settings_to_stable
from promotion.state.stack_file import Edits
from promotion.state.verdict_record import VerdictRecord

#: Default pods of a canary, and minimum pods of stable beside it: the book's CANARY_PODS and STABLE_PODS.
CANARY_REPLICAS = 1
STABLE_BESIDE_CANARY = 2
#: A step of a release: its edits to a release and to the whole config, decoded. Applied to its own result it changes
#: nothing more, so that an interrupted step can be repeated.
Move = Callable[[ReleaseSettings, Mapping[str, Any]], Edits]


def promised_replicas(release: ReleaseSettings) -> int:
    """Return stable's replicas outside a trial: the larger number, if `stableReplicas` was raised during the trial."""
    return max(release.stable_replicas_after_trial, release.stable_replicas)


def stable_beside(promised: int, canary: int) -> int:
    """Return stable's replicas during a trial: reduced by the canary's, but at least two if it had two."""
    return max(promised - canary, min(promised, STABLE_BESIDE_CANARY))


def canary_beside(promised: int, weight: str) -> int:
    """Return the canary's default replicas: with a weight, its part of stable's, rounded up."""
    return max(CANARY_REPLICAS, ceil(promised * Fraction(weight) / 100)) if weight else CANARY_REPLICAS


def start_canary(
    release: ReleaseSettings,
    image: str,
    replicas: int | None = None,
    stable_replicas: int | None = None,
    stable_image: str = "",
    traffic: str | None = None,
    verdict: str | None = None,
    weight: str | None = None,
) -> Edits:
    """Put an image on trial. ``stable_image`` pins a stable that was built from source to the image it runs.

    ``weight`` is the Gateway's for the canary; with one, stable keeps its pods. ``verdict`` is recorded for the image.
    A canary that keeps all users, because a promotion was interrupted, keeps its pods.
    """
    promised, by_weight = promised_replicas(release), release.canary_weight if weight is None else weight
    has_all_users = (traffic or release.traffic) == "canary"
    if replicas is None:
        least = max(promised, release.canary_replicas) if has_all_users else CANARY_REPLICAS
        replicas = max(least, canary_beside(promised, by_weight))
    if stable_replicas is None:
        beside = promised if by_weight or has_all_users else stable_beside(promised, replicas)
    else:
        beside = stable_replicas
    record = VerdictRecord.parse(release.canary_verdict)
    same_image = record is not None and record.digest == digest_of(image)
    return {
        **({"stableImage": stable_image} if stable_image and not release.stable_image else {}),
        **({"stableReplicas": str(beside)} if beside != release.stable_replicas else {}),
        "stableReplicasAfterTrial": str(promised) if promised > beside else None,
        "canaryImage": image,
        "canaryReplicas": str(replicas),
        **({"canaryVerdict": verdict} if verdict or not same_image else {}),
        **({"traffic": traffic if traffic != "split" else None} if traffic else {}),
        **(_change_weight(release, weight) if weight is not None else {}),
    }


def _change_weight(release: ReleaseSettings, weight: str) -> Edits:
    """Change the weight for the trial. The stack's own weight returns afterwards; the first one that it gets stays."""
    own = release.canary_weight_after_trial or release.canary_weight
    return {"canaryWeight": weight, "canaryWeightAfterTrial": own if own not in ("", weight) else None}


def without_canary_settings() -> Edits:
    """Remove the canary's settings."""
    return dict.fromkeys(sorted(CanaryKeys.key_names()))


def remove_canary(release: ReleaseSettings) -> Edits:
    """Restore stable's replicas and the weight, remove the canary with its settings, and route its users to stable."""
    own_weight = release.canary_weight_after_trial
    return {
        **_restore_stable(release),
        **({"canaryWeight": own_weight, "canaryWeightAfterTrial": None} if own_weight else {}),
        "canaryImage": None,
        "canaryReplicas": None,
        **without_canary_settings(),
        **({"traffic": None} if release.traffic == "canary" else {}),
    }


def promote(release: ReleaseSettings, config: Mapping[str, Any]) -> Edits:
    """Give stable the canary's image and settings. The verdict stays on record.

    ``config`` has the file's keys, decoded. Raises CommandError if the settings cannot be merged.
    """
    edits: Edits = (
        {"stableImage": release.canary_image, **canary_settings_to_stable(config)} if release.has_canary else {}
    )
    return {**edits, **remove_canary(release), "migratedImage": None}


def restore_image(
    release: ReleaseSettings,
    image: str,
    verdict: str | None = None,
    settings: Edits | None = None,
    *,
    migrated: bool = True,
) -> Edits:
    """Give stable an earlier image and its settings; ``verdict`` is recorded for its present image.

    ``migrated``: the image ran before, so its migration does not run again.
    """
    return {
        "stableImage": image,
        **(settings or {}),
        **remove_canary(release),
        "migratedImage": digest_of(image) if migrated else None,
        **({"canaryVerdict": verdict} if verdict else {}),
    }


def route_traffic(release: ReleaseSettings, to: str) -> Edits:
    """Point the public Service at other tracks.

    A canary that serves all users needs as many pods as stable. Stable keeps its own, so that users can return to it.
    """
    if to != "canary":
        return {"traffic": None if to == "split" else to}
    return {
        "traffic": to,
        "canaryReplicas": str(max(release.canary_replicas, promised_replicas(release))),
        **_restore_stable(release),
    }


def _restore_stable(release: ReleaseSettings) -> Edits:
    promised = promised_replicas(release)
    replicas = {"stableReplicas": str(promised)} if promised != release.stable_replicas else {}
    return {**replicas, "stableReplicasAfterTrial": None}
