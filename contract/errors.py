"""Errors that end the program with a message and no traceback."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

#: Part of every message about invalid config. The promotion commands recognise the error by it.
INVALID_CONFIG = "invalid config, nothing was changed"


def invalid_config(errors: Sequence[str]) -> pulumi.RunError:
    """Return the error that ends the program before any resource is registered."""
    title = f"stack `{pulumi.get_stack()}`: {INVALID_CONFIG} (errors: {len(errors)})"
    return pulumi.RunError("\n  - ".join([title, *errors]))
