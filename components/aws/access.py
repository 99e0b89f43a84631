"""Who administers the cluster."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from components.aws.account import caller_principal, stack_name, stack_tags
from components.aws.live import Live
from components.invokes import ask
from contract.errors import invalid_config

#: What administrators may do, and what viewers may (EKS user guide, access policy permissions).
ACCESS_POLICY = "arn:aws:eks::aws:cluster-access-policy/"
ADMINISTRATION = f"{ACCESS_POLICY}AmazonEKSClusterAdminPolicy"
VIEWING = f"{ACCESS_POLICY}AmazonEKSAdminViewPolicy"
OTHER_PART = {"administrator": "viewer", "viewer": "administrator"}
#: The provider's and AWS' words for an entry that does not exist.
NOT_FOUND = re.compile("couldn't find resource|empty result|ResourceNotFoundException", re.IGNORECASE)


def cluster_access(
    administrators: Sequence[str], viewers: Sequence[str], found: Live, opts: pulumi.InvokeOptions
) -> list[str]:
    """Return the ARNs of the cluster's administrators, by default the caller's.

    The list alone decides, so a preview in CI and the update after it register the same resources. Raises
    pulumi.RunError if it leaves out the caller, who could then create the cluster but nothing in it.
    """
    if viewers and not administrators:
        raise invalid_config(["clusterViewers: needs clusterAdministrators; name the administrators too"])
    caller = caller_principal(opts)
    if caller in (*administrators, *viewers) or (
        found.cluster_version and has_access_already(stack_name(), caller, opts)
    ):
        return list(administrators)
    if not administrators:
        return [caller]
    raise invalid_config(
        [
            f"clusterAdministrators: does not include {caller}, the identity of this machine, which could not reach"
            " the cluster; add it, or add it to `clusterViewers` if it only previews"
        ]
    )


def has_access_already(cluster: str, principal: str, opts: pulumi.InvokeOptions) -> bool:
    """Return whether the principal has an access entry that is not the stack's, and so cannot get another.

    EKS made one for the creator of clusters of program versions before 0.9.
    """
    try:
        entry = ask(
            lambda: aws.eks.get_access_entry(cluster_name=cluster, principal_arn=principal, opts=opts),
            f"access entry of {principal}",
            "the caller needs the right eks:DescribeAccessEntry",
        )
    except pulumi.RunError as error:
        if NOT_FOUND.search(str(error)):
            return False
        raise
    return not stack_tags({}).items() <= dict(entry.tags or {}).items()


def access_entries(
    cluster: pulumi.Input[str], administrators: Sequence[str], viewers: Sequence[str], opts: pulumi.ResourceOptions
) -> list[pulumi.Resource]:
    """Declare access for administrators and viewers, named after them, so that a change affects no others."""
    return [
        *(each for arn in administrators for each in _entry(cluster, arn, "administrator", ADMINISTRATION, opts)),
        *(each for arn in viewers for each in _entry(cluster, arn, "viewer", VIEWING, opts)),
    ]


def _entry(
    cluster: pulumi.Input[str], principal: str, part: str, policy: str, opts: pulumi.ResourceOptions
) -> list[pulumi.Resource]:
    name, former = (f"{each}-{principal.partition(':iam::')[2]}" for each in (part, OTHER_PART[part]))
    # A principal has one entry. Whoever moves to the other list keeps it, and only the policy changes.
    opts = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(aliases=[pulumi.Alias(name=former)]))
    entry = aws.eks.AccessEntry(name, cluster_name=cluster, principal_arn=principal, opts=opts)
    association = aws.eks.AccessPolicyAssociation(
        name,
        cluster_name=cluster,
        principal_arn=entry.principal_arn,
        policy_arn=policy,
        access_scope={"type": "cluster"},
        opts=opts,
    )
    return [entry, association]
