"""A cluster's add-ons. The lab's Kubernetes has its own; here, the program's declarations are checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Record, injected_fault
from lab.plugins.aws.eks import EksKind, minor
from lab.plugins.aws.kind import arn_of, statements
from lab.plugins.kind import ApiError
from lab.plugins.properties import Properties, Value
from lab.plugins.rules import Rule, matches, one_of
from lab.plugins.times import timestamp

#: Invented versions in the form of the real ones, for a minor version of Kubernetes.
VERSIONS = {
    "vpc-cni": "v1.20.{minor}-eksbuild.1",
    "kube-proxy": "v1.{minor}.0-eksbuild.2",
    "coredns": "v1.12.{minor}-eksbuild.1",
    "eks-pod-identity-agent": "v1.3.{minor}-eksbuild.1",
    "aws-ebs-csi-driver": "v1.50.{minor}-eksbuild.1",
    "metrics-server": "v0.8.{minor}-eksbuild.1",
}
#: Add-ons that are Deployments, so they need nodes to become active.
NEEDING_NODES = frozenset({"coredns", "aws-ebs-csi-driver", "metrics-server"})
#: The service account that uses an add-on's role.
ACCOUNTS = {"vpc-cni": "aws-node", "aws-ebs-csi-driver": "ebs-csi-controller-sa"}


def recommended(addon: str, kubernetes: str) -> str:
    """Return an add-on's recommended version for a version of Kubernetes. Raises ApiError for an unknown add-on."""
    if addon not in VERSIONS:
        raise ApiError(f"404 ResourceNotFoundException: no add-on {addon!r}; there are {', '.join(VERSIONS)}")
    version = VERSIONS[addon].format(minor=minor(kubernetes))
    return f"{version}0" if injected_fault("Addon") == "newer" else version  # eksbuild.1 becomes eksbuild.10


class Addon(EksKind):
    """An add-on in a version."""

    title = "EKS add-on"
    arn = "eks:addon/{clusterName}/{addonName}"
    json_inputs = ("configurationValues",)
    rules: ClassVar[Mapping[str, Rule]] = {
        "addonVersion": matches(r"v[0-9]+\.[0-9]+\.[0-9]+-eksbuild\.[0-9]+", "such as v1.20.4-eksbuild.1"),
        "resolveConflictsOnCreate": one_of("NONE", "OVERWRITE"),
        "resolveConflictsOnUpdate": one_of("NONE", "OVERWRITE", "PRESERVE"),
        "serviceAccountRoleArn": arn_of("iam"),
    }
    replaces = ("clusterName", "addonName", "region")
    defaults: ClassVar[Mapping[str, Value]] = {"configurationValues": ""}
    filled_in = ("addonVersion",)
    references: ClassVar[Mapping[str, str]] = {"clusterName": "Cluster"}

    @override
    def new_id(self, inputs: Properties) -> str:
        return f"{inputs['clusterName']}:{inputs['addonName']}"

    @override
    def check_dependencies(self, inputs: Properties) -> None:
        super().check_dependencies(inputs)
        name: str = inputs["addonName"]
        suited = self._recommended(inputs)
        if inputs.get("addonVersion", suited) != suited:
            raise ApiError(
                f"400 InvalidParameterException: {name} {inputs['addonVersion']} is not supported by the cluster's"
                f" Kubernetes; {suited} is"
            )
        if inputs.get("serviceAccountRoleArn"):
            cluster = self.existing("Cluster", inputs["clusterName"])
            self._check_trust(cluster, inputs["serviceAccountRoleArn"], ACCOUNTS.get(name, name))

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        nodes = self.account.records("NodeGroup", clusterName=inputs["clusterName"])
        if inputs["addonName"] in NEEDING_NODES and not nodes:
            raise ApiError("unexpected state 'DEGRADED', wanted 'ACTIVE': InsufficientNumberOfReplicas: no nodes")
        version, now = self._recommended(inputs), timestamp()
        return {**super().create(id, inputs), "addonVersion": version, "createdAt": now, "modifiedAt": now}

    @override
    def update(self, record: Record, new: Properties) -> Properties:
        return {"addonVersion": self._recommended(new), "modifiedAt": timestamp()}

    def _recommended(self, inputs: Properties) -> str:
        cluster = self.existing("Cluster", inputs["clusterName"])
        return recommended(inputs["addonName"], cluster.inputs.get("version", ""))

    def _check_trust(self, cluster: Record, arn: str, account: str) -> None:
        """Raise ApiError unless the add-on's service account can assume its role with the cluster's tokens."""
        role = self.named("Role", arn)
        issuer = cluster.outputs["identities"][0]["oidcs"][0]["issuer"].removeprefix("https://")
        known = {each.id for each in self.account.records("OpenIdConnectProvider")}
        wanted = {f"{issuer}:aud": "sts.amazonaws.com", f"{issuer}:sub": f"system:serviceaccount:kube-system:{account}"}
        for each in statements(role.inputs["assumeRolePolicy"]):
            federated = str(each.get("Principal", {}).get("Federated", ""))
            allowed = each.get("Action") == "sts:AssumeRoleWithWebIdentity"
            conditions = each.get("Condition", {}).get("StringEquals", {})
            if allowed and federated in known and federated.endswith(issuer) and conditions == wanted:
                return
        raise ApiError(
            f"AccessDenied: kube-system/{account} is not authorized to perform sts:AssumeRoleWithWebIdentity on"
            f" {role.id}: its trust policy names another issuer, audience or service account"
        )
