"""What a cluster runs of AWS's own: the pods' network, service addresses and names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pulumi
import pulumi_aws as aws

from components.aws.roles import Role, RoleArgs, service_account_trust
from components.component import Component
from components.invokes import or_explain

AddonName = Literal["vpc-cni", "kube-proxy", "coredns"]


@dataclass(frozen=True)
class AddonsArgs:
    """``cluster`` is the cluster's name, ``version`` its Kubernetes version, ``issuer`` the URL of its token issuer.

    ``pinned``: versions of add-ons that are not to be the one that AWS recommends.
    """

    name: str
    cluster: pulumi.Input[str]
    version: pulumi.Input[str]
    issuer: pulumi.Input[str]
    pinned: Mapping[AddonName, str]


class NodeAddons(Component):
    """The add-ons that a node needs to become ready: there before the first node.

    Makes kube-proxy and the VPC network plugin, which also enforces NetworkPolicies, with a role of its own by the
    cluster's OpenID Connect provider: it needs nothing else to run first, as it would with EKS Pod Identity, whose
    agent is itself a pod on the node that isn't ready yet. Outputs ``addons``.
    """

    addons: list[aws.eks.Addon]

    def __init__(self, name: str, args: AddonsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("aws:NodeAddons", name, opts)
        network = addon(
            "vpc-cni",
            args,
            self,
            configuration={"enableNetworkPolicy": "true"},
            role=self._network_role(args).arn,
        )
        self.addons = [network, addon("kube-proxy", args, self)]
        self.register_outputs({"addons": [each.addon_name for each in self.addons]})

    def _network_role(self, args: AddonsArgs) -> Role:
        options = pulumi.ResourceOptions(parent=self)
        issuer = aws.iam.OpenIdConnectProvider(
            "service-accounts", url=args.issuer, client_id_lists=["sts.amazonaws.com"], opts=options
        )
        trust = pulumi.Output.all(issuer.arn, args.issuer).apply(
            lambda known: service_account_trust(known[0], known[1], "kube-system", "aws-node")
        )
        return Role(
            "network-role",
            RoleArgs(name=f"{args.name}-network", trust=trust, policies=["AmazonEKS_CNI_Policy"]),
            opts=options,
        )


def addon(
    kind: AddonName,
    args: AddonsArgs,
    parent: pulumi.Resource,
    configuration: dict[str, Any] | None = None,
    role: pulumi.Input[str] | None = None,
    after: Sequence[pulumi.Resource] = (),
) -> aws.eks.Addon:
    """An add-on in its pinned version, else in the one that AWS recommends for the cluster's, which follows upgrades.

    ``role`` is the ARN of the role that its service account may take.
    """
    version: pulumi.Input[str] = args.pinned.get(kind) or (
        or_explain(
            aws.eks.get_addon_version_output(
                addon_name=kind, kubernetes_version=args.version, opts=pulumi.InvokeOutputOptions(parent=parent)
            ),
            f"version of the add-on {kind}",
            "name a `kubernetesVersion` that EKS has, or the add-on's own in `addonVersions`",
        ).version
    )
    return aws.eks.Addon(
        kind,
        cluster_name=args.cluster,
        addon_name=kind,
        addon_version=version,
        configuration_values=json.dumps(configuration) if configuration else None,
        service_account_role_arn=role,
        # What Git says holds, also over settings that somebody changed by hand.
        resolve_conflicts_on_create="OVERWRITE",
        resolve_conflicts_on_update="OVERWRITE",
        opts=pulumi.ResourceOptions(parent=parent, depends_on=list(after)),
    )
