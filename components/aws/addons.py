"""The cluster's add-ons from AWS: pod network, Service addresses and DNS."""

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
    """The cluster that the add-ons run in."""

    #: Prefix of the role's name.
    name: str
    #: ARN of the permissions boundary of IAM roles, or "".
    boundary: str
    #: Name of the cluster.
    cluster: pulumi.Input[str]
    #: Its Kubernetes version.
    version: pulumi.Input[str]
    #: URL of its token issuer.
    issuer: pulumi.Input[str]
    #: Versions of add-ons that differ from what AWS recommends.
    pinned: Mapping[AddonName, str]


class NodeAddons(Component):
    """The add-ons that a node needs to become ready, created before the first node.

    Creates kube-proxy, and the VPC network plugin, which also enforces NetworkPolicies. The plugin has its own role
    through the cluster's OpenID Connect provider. EKS Pod Identity would not do: its agent is a pod on the node that
    waits for the plugin.
    """

    #: The add-ons, for nodes to wait for.
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
            lambda values: service_account_trust(values[0], values[1], "kube-system", "aws-node")
        )
        return Role(
            "network-role",
            RoleArgs(
                name=f"{args.name}-network", trust=trust, policies=["AmazonEKS_CNI_Policy"], boundary=args.boundary
            ),
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
    """Declare an add-on in its pinned version, else in the one that AWS recommends for the cluster's version.

    ``role`` is the ARN of the role that its service account may assume.
    """
    version: pulumi.Input[str] = args.pinned.get(kind) or (
        or_explain(
            aws.eks.get_addon_version_output(
                addon_name=kind, kubernetes_version=args.version, opts=pulumi.InvokeOutputOptions(parent=parent)
            ),
            f"version of the add-on {kind}",
            "set `kubernetesVersion` to one that EKS offers, or pin the add-on in `addonVersions`",
        ).version
    )
    return aws.eks.Addon(
        kind,
        cluster_name=args.cluster,
        addon_name=kind,
        addon_version=version,
        configuration_values=json.dumps(configuration) if configuration else None,
        service_account_role_arn=role,
        # Git wins over settings changed by hand.
        resolve_conflicts_on_create="OVERWRITE",
        resolve_conflicts_on_update="OVERWRITE",
        opts=pulumi.ResourceOptions(parent=parent, depends_on=list(after)),
    )
