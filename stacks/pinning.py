"""Refuse builds from source after a production stack's first update: only Git may change what runs."""

from __future__ import annotations

import pulumi

from components.invokes import reason
from contract.errors import invalid_config
from contract.settings import ReleaseSettings
from stacks.platform_reference import own_outputs


def refuse_unpinned(release: ReleaseSettings) -> None:
    """Refuse to build from source if `buildFromSource` is `first` and the stack has had its first update.

    Raises pulumi.RunError, also if the stack's outputs cannot be read.
    """
    if release.build_from_source != "first" or not release.unpinned:
        return
    try:
        tracks = own_outputs().get("tracks")
    except Exception as error:  # the SDK raises nothing narrower
        raise pulumi.RunError(
            "nothing was changed: the stack's outputs cannot be read, and `buildFromSource: first` depends on them:"
            f" {reason(error)}"
        ) from None
    if not tracks:
        return
    stable = tracks["stable"]["image"]
    remedies = {
        "stableImage": f"pin the running image with `pulumi config set stableImage {stable}`",
        "canaryImage": "`python -m promotion canary --image source` builds and pins it",
    }
    raise invalid_config(
        [
            f"{key}: is not pinned, and after its first update this stack no longer builds from source (buildFromSource"
            f" is `first`); {remedies[key]}"
            for key in release.unpinned
        ]
    )
