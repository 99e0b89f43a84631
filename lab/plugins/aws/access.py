"""Who may log in to a cluster. What they may do there is only stored: logins are the lab's administrator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Account
from lab.plugins.aws.account import CALLER_ROLE, CALLER_ROLE_NAME
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
        if inputs["principalArn"].endswith(f"/{CALLER_ROLE_NAME}") and inputs["principalArn"] != CALLER_ROLE:
            raise ApiError("400 InvalidParameterException: the specified principalArn is invalid: invalid principal")
        if inputs["principalArn"] == CALLER_ROLE and access.get("bootstrapClusterCreatorAdminPermissions", True):
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


def caller_admitted(account: Account, cluster: str) -> bool:
    """Return whether the caller may log in: through an entry, or because EKS made it administrator as the creator."""
    if account.records("AccessEntry", clusterName=cluster, principalArn=CALLER_ROLE):
        return True
    found = account.get("Cluster", cluster)
    access = (found.inputs.get("accessConfig") or {}) if found else {}
    return bool(found) and access.get("bootstrapClusterCreatorAdminPermissions", True)
