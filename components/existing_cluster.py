"""A cluster that the config key `cluster` names, and the stack uses without managing it."""

from __future__ import annotations

from contract.errors import invalid_config


def check_not_own(cluster: str, created_by_stack: bool) -> None:
    """Raise pulumi.RunError if the stack created the cluster, by its tags: the engine would delete it."""
    if created_by_stack:
        raise invalid_config(
            [
                f"cluster = {cluster!r}: is the stack's own cluster (by its tags or labels pulumi-project and"
                " pulumi-stack), which `up` would delete; unset cluster"
            ]
        )
