"""Errors that end the program with a message and no traceback."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

#: Every message about invalid config contains these words; the promotion commands recognise it by them.
INVALID_CONFIG = "invalid config, nothing was changed"


def invalid_config(errors: Sequence[str]) -> pulumi.RunError:
    """Return the error that ends the program, for what is found before any resource is registered."""
    title = f"stack `{pulumi.get_stack()}`: {INVALID_CONFIG} (errors: {len(errors)})"
    return pulumi.RunError("\n  - ".join([title, *errors]))
