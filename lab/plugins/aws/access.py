"""Who may do what in a cluster. Only stored: whoever rehearses is the lab's administrator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.aws.account import CALLER
from lab.plugins.aws.eks import CLUSTER
from lab.plugins.aws.kind import REGION, TAGS, AwsKind, arn_property
from lab.plugins.declared import Property
from lab.plugins.kind import Refused
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure
from lab.plugins.times import timestamp

PRINCIPAL = arn_property("iam", required=True, replaces=True)
# User guide, access policy permissions.
POLICIES = frozenset(
    f"arn:aws:eks::aws:cluster-access-policy/AmazonEKS{name}Policy"
    for name in ("Admin", "ClusterAdmin", "AdminView", "Edit", "View")
)


class AccessEntry(AwsKind):
    """A role or user that may log in."""

    module = "eks"
    service = "eks"
    title = "EKS access entry"
    properties: ClassVar[Mapping[str, Property]] = {
        "clusterName": CLUSTER,
        "principalArn": PRINCIPAL,
        "kubernetesGroups": Property(list, each=str),
        "type": Property(
            str,
            replaces=True,
            values=frozenset({"STANDARD", "EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "EC2", "HYBRID_LINUX"}),
        ),
        "userName": Property(str),
        "region": REGION,
        "tags": TAGS,
    }
    computed = ("accessEntryArn", "createdAt", "kubernetesGroups", "modifiedAt", "type", "userName")

    @override
    def identify(self, inputs: Properties) -> str:
        return f"{inputs['clusterName']}:{inputs['principalArn']}"

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        cluster = self.existing("Cluster", inputs["clusterName"])
        if (cluster.inputs.get("accessConfig") or {}).get("authenticationMode", "CONFIG_MAP") == "CONFIG_MAP":
            raise Refused("400 InvalidRequestException: the cluster's authentication mode must be API to have entries")
        creator = (cluster.inputs.get("accessConfig") or {}).get("bootstrapClusterCreatorAdminPermissions", True)
        if inputs["principalArn"] == CALLER and creator:
            raise Refused(
                "409 ResourceInUseException: the specified access entry resource is already in use on this cluster"
            )
        return {
            "accessEntryArn": self.arn(inputs, f"access-entry/{inputs['clusterName']}/{inputs['principalArn']}"),
            "createdAt": timestamp(),
            "kubernetesGroups": inputs.get("kubernetesGroups") or [],
            "modifiedAt": timestamp(),
            "type": inputs.get("type", "STANDARD"),
            "userName": inputs.get("userName", inputs["principalArn"]),
        }


class AccessPolicyAssociation(AwsKind):
    """A set of rights for one who may log in; giving it twice is giving it once."""

    module = "eks"
    service = "eks"
    title = "EKS access policy association"
    unique_id = False
    properties: ClassVar[Mapping[str, Property]] = {
        "clusterName": CLUSTER,
        "principalArn": PRINCIPAL,
        "policyArn": Property(str, required=True, replaces=True, values=POLICIES),
        "accessScope": Property(
            dict,
            required=True,
            replaces=True,
            inner={
                "type": Property(str, required=True, values=frozenset({"cluster", "namespace"})),
                "namespaces": Property(list, each=str),
            },
        ),
        "region": REGION,
    }
    computed = ("associatedAt", "modifiedAt")

    @override
    def identify(self, inputs: Properties) -> str:
        return "#".join(inputs[name] for name in ("clusterName", "principalArn", "policyArn"))

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        scope = inputs["accessScope"]
        if (scope["type"] == "namespace") == bool(scope.get("namespaces")):
            return []
        return [Failure("accessScope.namespaces", "must be given for type namespace, and for no other.")]

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        self.existing("AccessEntry", f"{inputs['clusterName']}:{inputs['principalArn']}")
        return {"associatedAt": timestamp(), "modifiedAt": timestamp()}
