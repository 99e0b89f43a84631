"""Who may do what in a cluster. This is only stored: a rehearsal runs as the lab's administrator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.aws.account import CALLER
from lab.plugins.aws.eks import EksKind
from lab.plugins.aws.kind import arn_of
from lab.plugins.kind import ApiError
from lab.plugins.properties import Properties, Value
from lab.plugins.provider import Failure
from lab.plugins.rules import Rule, one_of
from lab.plugins.times import timestamp


class AccessEntry(EksKind):
    """A role or user that may log in."""

    title = "EKS access entry"
    rules: ClassVar[Mapping[str, Rule]] = {
        "principalArn": arn_of("iam"),
        "type": one_of("STANDARD", "EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "EC2", "HYBRID_LINUX"),
    }
    replaces = ("clusterName", "principalArn", "type", "region")
    defaults: ClassVar[Mapping[str, Value]] = {"type": "STANDARD"}
    references: ClassVar[Mapping[str, str]] = {"clusterName": "Cluster"}
    arn = "eks:access-entry/{clusterName}/{principalArn}"

    @override
    def new_id(self, inputs: Properties) -> str:
        return f"{inputs['clusterName']}:{inputs['principalArn']}"

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        access = self.existing("Cluster", inputs["clusterName"]).inputs.get("accessConfig") or {}
        if access.get("authenticationMode", "CONFIG_MAP") == "CONFIG_MAP":
            raise ApiError("400 InvalidRequestException: the cluster's authentication mode must be API to have entries")
        if inputs["principalArn"] == CALLER and access.get("bootstrapClusterCreatorAdminPermissions", True):
            raise ApiError(
                "409 ResourceInUseException: the specified access entry resource is already in use on this cluster"
            )
        return {
            "accessEntryArn": self.arn_for(id, inputs),
            "createdAt": timestamp(),
            "modifiedAt": timestamp(),
        }


class AccessPolicyAssociation(EksKind):
    """A set of rights for an access entry. Granting it twice is allowed."""

    title = "EKS access policy association"
    unique_id = False
    rules: ClassVar[Mapping[str, Rule]] = {
        "principalArn": arn_of("iam"),
        # User guide, access policy permissions.
        "policyArn": one_of(
            *(
                f"arn:aws:eks::aws:cluster-access-policy/AmazonEKS{name}Policy"
                for name in ("Admin", "ClusterAdmin", "AdminView", "Edit", "View")
            )
        ),
        "accessScope.type": one_of("cluster", "namespace"),
    }
    replaces = ("clusterName", "principalArn", "policyArn", "accessScope", "region")

    @override
    def new_id(self, inputs: Properties) -> str:
        return "#".join(inputs[name] for name in ("clusterName", "principalArn", "policyArn"))

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        scope = inputs["accessScope"]
        if (scope["type"] == "namespace") == bool(scope.get("namespaces")):
            return []
        return [Failure("accessScope.namespaces", "must be given for type namespace, and for no other.")]

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        self.existing("AccessEntry", f"{inputs['clusterName']}:{inputs['principalArn']}")
        return {"associatedAt": timestamp(), "modifiedAt": timestamp()}
