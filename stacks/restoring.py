"""Remember that a stack's database server was made from a backup, also when the config no longer says so."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi

from components.invokes import reason
from stacks.platform_reference import own_outputs

#: Stack output of a stack whose server has its database and user from a backup.
OUTPUT = "databaseRestored"


def was_restored(restore: Mapping[str, str]) -> bool:
    """Return whether the server is made from a backup, by this update or an earlier one.

    Raises pulumi.RunError if the stack's outputs cannot be read.
    """
    if restore:
        return True
    try:
        return bool(own_outputs().get(OUTPUT))
    except Exception as error:  # the SDK raises nothing narrower
        raise pulumi.RunError(
            "nothing was changed: the stack's outputs, which say whether the database was restored from a backup,"
            f" cannot be read: {reason(error)}; run the command again"
        ) from None


def restored_output(restored: bool) -> dict[str, bool]:
    """Return the stack output that the next update reads."""
    return {OUTPUT: True} if restored else {}
