"""Names with a random ending, for what can't have the name again that an earlier one had, or still has."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
import pulumi_random as random

#: Bytes of the ending; two digits each, and a dash before them.
ENDING_BYTES = 3


def random_name(
    resource: str, prefix: str, replaced_with: Mapping[str, pulumi.Input[str]], opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """``prefix`` with a random ending, kept in the state; another one when a value of ``replaced_with`` changes.

    The engine makes up such names, too, but an `up` that is interrupted while the cloud is at work forgets them: the
    next one would make, and pay for, a second resource. By this name it meets the first, which can be imported.
    """
    made = random.RandomId(
        resource, byte_length=ENDING_BYTES, prefix=f"{prefix}-", keepers=dict(replaced_with), opts=opts
    )
    return made.hex
