"""Add-ons of a cluster. The lab's Kubernetes has its own of each; what the program says of them is checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.aws.eks import CLUSTER, minor
from lab.plugins.aws.kind import REGION, TAGS, AwsKind, arn_property, json_faults, statements
from lab.plugins.declared import Property
from lab.plugins.kind import Refused
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure
from lab.plugins.times import timestamp

#: Made-up versions in the form of the real ones: what an add-on's is called for a minor version of Kubernetes.
VERSIONS = {
    "vpc-cni": "v1.20.{minor}-eksbuild.1",
    "kube-proxy": "v1.{minor}.0-eksbuild.2",
    "coredns": "v1.12.{minor}-eksbuild.1",
    "eks-pod-identity-agent": "v1.3.{minor}-eksbuild.1",
    "aws-ebs-csi-driver": "v1.50.{minor}-eksbuild.1",
    "metrics-server": "v0.8.{minor}-eksbuild.1",
}
#: Add-ons that are Deployments, so need nodes to become active.
NEEDING_NODES = frozenset({"coredns", "aws-ebs-csi-driver", "metrics-server"})
#: The service account that takes an add-on's role.
ACCOUNTS = {"vpc-cni": "aws-node", "aws-ebs-csi-driver": "ebs-csi-controller-sa"}


def recommended(addon: str, kubernetes: str) -> str:
    """The version of an add-on that goes with a version of Kubernetes. Raises Refused for an unknown one."""
    if addon not in VERSIONS:
        raise Refused(f"404 ResourceNotFoundException: no add-on {addon!r}; there are {', '.join(VERSIONS)}")
    return VERSIONS[addon].format(minor=minor(kubernetes))


class Addon(AwsKind):
    """An add-on in a version."""

    module = "eks"
    service = "eks"
    title = "EKS add-on"
    properties: ClassVar[Mapping[str, Property]] = {
        "clusterName": CLUSTER,
        "addonName": Property(str, required=True, replaces=True),
        "addonVersion": Property(
            str, pattern=r"v[0-9]+\.[0-9]+\.[0-9]+-eksbuild\.[0-9]+", rule="an add-on's version (v1.20.4-eksbuild.1)"
        ),
        "configurationValues": Property(str),
        "preserve": Property(bool),
        "resolveConflictsOnCreate": Property(str, values=frozenset({"NONE", "OVERWRITE"})),
        "resolveConflictsOnUpdate": Property(str, values=frozenset({"NONE", "OVERWRITE", "PRESERVE"})),
        "serviceAccountRoleArn": arn_property("iam"),
        "region": REGION,
        "tags": TAGS,
    }
    computed = ("addonVersion", "arn", "configurationValues", "createdAt", "modifiedAt")

    @override
    def identify(self, inputs: Properties) -> str:
        return f"{inputs['clusterName']}:{inputs['addonName']}"

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        return [*super().invalid(inputs), *json_faults(inputs, "configurationValues")]

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        version = self._check(inputs)
        if inputs["addonName"] in NEEDING_NODES and not self.others("NodeGroup", clusterName=inputs["clusterName"]):
            raise Refused("unexpected state 'DEGRADED', wanted 'ACTIVE': InsufficientNumberOfReplicas: no nodes")
        made = timestamp()
        return {
            "arn": self.arn(inputs, f"addon/{inputs['clusterName']}/{inputs['addonName']}"),
            "addonVersion": version,
            "configurationValues": inputs.get("configurationValues") or "",
            "createdAt": made,
            "modifiedAt": made,
        }

    @override
    def change(self, record: Record, new: Properties) -> Properties:
        return {
            "addonVersion": self._check(new),
            "configurationValues": new.get("configurationValues") or "",
            "modifiedAt": timestamp(),
        }

    def _check(self, inputs: Properties) -> str:
        """The version that it gets. Raises Refused."""
        name: str = inputs["addonName"]
        cluster = self.existing("Cluster", inputs["clusterName"])
        suited = recommended(name, cluster.inputs.get("version", ""))
        if inputs.get("addonVersion", suited) != suited:
            raise Refused(
                f"400 InvalidParameterException: {name} {inputs['addonVersion']} is not supported by the cluster's"
                f" Kubernetes; {suited} is"
            )
        if inputs.get("serviceAccountRoleArn"):
            self._check_trust(cluster, inputs["serviceAccountRoleArn"], ACCOUNTS.get(name, name))
        return suited

    def _check_trust(self, cluster: Record, arn: str, account: str) -> None:
        """Whether the add-on's service account could take its role with the cluster's tokens. Raises Refused."""
        role = self.named("Role", arn)
        issuer = cluster.outputs["identities"][0]["oidcs"][0]["issuer"].removeprefix("https://")
        known = {each.id for each in self.others("OpenIdConnectProvider")}
        wanted = {f"{issuer}:aud": "sts.amazonaws.com", f"{issuer}:sub": f"system:serviceaccount:kube-system:{account}"}
        for each in statements(role.inputs["assumeRolePolicy"]):
            federated = str(each.get("Principal", {}).get("Federated", ""))
            allowed = each.get("Action") == "sts:AssumeRoleWithWebIdentity"
            conditions = each.get("Condition", {}).get("StringEquals", {})
            if allowed and federated in known and federated.endswith(issuer) and conditions == wanted:
                return
        raise Refused(
            f"AccessDenied: kube-system/{account} is not authorized to perform sts:AssumeRoleWithWebIdentity on"
            f" {role.id}: its trust policy names another issuer, audience or service account"
        )
