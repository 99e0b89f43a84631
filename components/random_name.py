"""Names with a random suffix, for resources that cannot reuse the name of a predecessor."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
import pulumi_random as random

#: Bytes of the suffix, two hex digits each.
SUFFIX_BYTES = 3


def random_name(
    resource: str, prefix: str, replaced_with: Mapping[str, pulumi.Input[str]], opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """Return ``prefix`` with a random suffix, which changes when a value of ``replaced_with`` changes.

    The named resource must say in ``delete_before_replace`` which order its replacement has. Left unset, the bridge
    decides, and deletes first whatever was named explicitly, even if the name changes (pulumi-terraform-bridge,
    ``nameRequiresDeleteBeforeReplace``).

    The engine's own random names are lost if `up` is interrupted while the cloud creates the resource, and the next
    `up` would create, and pay for, a second one. This name is in the state first, so the next `up` conflicts with the
    existing resource, which can then be imported.
    """
    suffixed = random.RandomId(
        resource, byte_length=SUFFIX_BYTES, prefix=f"{prefix}-", keepers=dict(replaced_with), opts=opts
    )
    return suffixed.hex
