"""Production: after a stack's first update, nothing that the build context could change by itself."""

from __future__ import annotations

import pulumi

from components.invokes import reason
from contract.errors import invalid_config
from contract.settings import ReleaseSettings
from stacks.platform_reference import stack_outputs


def refuse_unpinned(release: ReleaseSettings) -> None:
    """Hold a stack whose `buildFromSource` is `first` to it.

    Raises pulumi.RunError when a track is unpinned and the stack has had its first update, or that can't be told.
    """
    if release.build_from_source != "first" or not release.unpinned:
        return
    name = "/".join((pulumi.get_organization(), pulumi.get_project(), pulumi.get_stack()))
    try:
        tracks = stack_outputs(name).get("tracks")
    except Exception as fault:  # the SDK raises nothing narrower
        raise pulumi.RunError(
            "nothing was changed, since the outputs of this stack's last update can't be read, and `buildFromSource:"
            f" first` goes by them: {reason(fault)}"
        ) from None
    if not tracks:
        return
    running = tracks["stable"]["image"]
    remedies = {
        "stableImage": f"pin what runs with `pulumi config set stableImage {running}`",
        "canaryImage": "`python -m promotion canary --image source` builds it and pins it first",
    }
    raise invalid_config(
        [
            f"{key}: this stack has had its first update, and builds nothing by itself since (buildFromSource is"
            f" `first`): {remedies[key]}"
            for key in release.unpinned
        ]
    )
