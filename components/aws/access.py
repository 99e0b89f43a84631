"""Who administers the cluster."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from components.aws.account import caller_principal
from components.aws.live import Live
from contract.errors import invalid_config


def cluster_access(
    administrators: Sequence[str], viewers: Sequence[str], found: Live, opts: pulumi.InvokeOptions
) -> list[str]:
    """Return the ARNs of the cluster's administrators, by default the caller's.

    The list alone decides, so a preview in CI and the update after it register the same resources. Raises
    pulumi.RunError if it leaves out the caller, who could then create the cluster but nothing in it.
    """
    # EKS refuses an entry for the creator of such a cluster, and it is not known who that is.
    if found.creator_is_administrator:
        return list(administrators)
    caller = caller_principal(opts)
    if not administrators:
        return [caller]
    if caller not in (*administrators, *viewers):
        raise invalid_config(
            [
                f"clusterAdministrators: does not name {caller}, whose credentials this machine has and who could not"
                " reach the cluster; add it there, or in `clusterViewers` if it only previews"
            ]
        )
    return list(administrators)
