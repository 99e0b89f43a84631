"""IAM: roles, their policies, and identity providers. Only the simulated services check them."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.aws.kind import AwsKind, arn_of
from lab.plugins.kind import ApiError
from lab.plugins.properties import Properties, Value
from lab.plugins.rules import Rule, at_most, matches
from lab.plugins.times import timestamp

ROLE_NAME = matches(r"[\w+=,.@-]{1,64}", "at most 64 letters, digits and _+=,.@-")
AWS_POLICY = "arn:aws:iam::aws:policy/"
#: AWS's own policies for EKS and its nodes (AWS managed policy reference).
AWS_POLICIES = frozenset(
    [
        "AmazonEC2ContainerRegistryPullOnly", "AmazonEC2ContainerRegistryReadOnly", "AmazonEKSClusterPolicy",
        "AmazonEKSServicePolicy", "AmazonEKSVPCResourceController", "AmazonEKSWorkerNodeMinimalPolicy",
        "AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonSSMManagedInstanceCore",
        "service-role/AmazonEBSCSIDriverPolicy",
    ]
)  # fmt: skip


class Role(AwsKind):
    """What a service or a pod may become."""

    module = "iam"
    title = "IAM role"
    arn = "iam:role{path}{id}"
    autonamed = True
    unique_name = True
    json_inputs = ("assumeRolePolicy",)
    rules: ClassVar[Mapping[str, Rule]] = {
        "name": ROLE_NAME,
        "description": at_most(1000),
        "permissionsBoundary": arn_of("iam"),
        "path": matches(r"/([\x21-\x7e]*/)?", "a path that begins and ends with /"),
    }
    replaces = ("name", "path")
    defaults: ClassVar[Mapping[str, Value]] = {"path": "/"}
    used_by: ClassVar[Mapping[str, str]] = {"RolePolicyAttachment": "role"}
    in_use = "409 DeleteConflict: cannot delete entity, must remove its policies first: {users}"

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        letters = string.ascii_uppercase + string.digits
        return {
            **super().create(id, {**inputs, **self.with_defaults(inputs)}),
            "createDate": timestamp(),
            "uniqueId": "AROA" + "".join(secrets.choice(letters) for _ in range(17)),
        }


class RolePolicyAttachment(AwsKind):
    """A managed policy of a role. Attaching it twice is allowed."""

    module = "iam"
    title = "IAM role policy attachment"
    unique_id = False
    rules: ClassVar[Mapping[str, Rule]] = {"role": ROLE_NAME, "policyArn": arn_of("iam")}
    replaces = ("role", "policyArn")
    references: ClassVar[Mapping[str, str]] = {"role": "Role"}

    @override
    def new_id(self, inputs: Properties) -> str:
        return f"{inputs['role']}/{inputs['policyArn']}"

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        if inputs["policyArn"].removeprefix(AWS_POLICY) not in AWS_POLICIES:
            raise ApiError(f"404 NoSuchEntity: policy {inputs['policyArn']} does not exist or is not attachable")
        return {}


class OpenIdConnectProvider(AwsKind):
    """A cluster whose service accounts' tokens IAM accepts."""

    module = "iam"
    title = "OpenID Connect provider"
    rules: ClassVar[Mapping[str, Rule]] = {"url": matches(r"https://\S+", "a URL that begins with https://")}
    replaces = ("url",)
    arn = "iam:oidc-provider/{id}"

    @override
    def new_id(self, inputs: Properties) -> str:
        return self.arn_for(inputs["url"].removeprefix("https://"), inputs)

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        return {"arn": id}
