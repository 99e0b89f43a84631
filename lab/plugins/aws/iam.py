"""IAM: roles, their policies, and who vouches for service accounts. Nobody checks these but the simulated services."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.aws.kind import TAGS, AwsKind, arn_property, json_faults
from lab.plugins.declared import Property
from lab.plugins.kind import Refused
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure
from lab.plugins.times import timestamp

ROLE_NAME = r"[\w+=,.@-]{1,64}"
ROLE_RULE = "at most 64 letters, digits and _+=,.@-"
ROLE = Property(str, required=True, replaces=True, pattern=ROLE_NAME, rule=ROLE_RULE)
AWS_POLICY = "arn:aws:iam::aws:policy/"
#: Of AWS's own policies, those that are about EKS and its nodes (AWS managed policy reference).
AWS_POLICIES = frozenset(
    [
        "AmazonEC2ContainerRegistryPullOnly", "AmazonEC2ContainerRegistryReadOnly", "AmazonEKSClusterPolicy",
        "AmazonEKSServicePolicy", "AmazonEKSVPCResourceController", "AmazonEKSWorkerNodeMinimalPolicy",
        "AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonSSMManagedInstanceCore",
        "service-role/AmazonEBSCSIDriverPolicy",
    ]
)  # fmt: skip


class _InIam(AwsKind):
    module = "iam"
    service = "iam"


class Role(_InIam):
    """What a service or a pod may become."""

    title = "IAM role"
    autonamed = True
    unique_name = True
    properties: ClassVar[Mapping[str, Property]] = {
        "name": Property(str, replaces=True, pattern=ROLE_NAME, rule=ROLE_RULE),
        "assumeRolePolicy": Property(str, required=True),
        "description": Property(str, pattern=r"(?s).{0,1000}", rule="1000 characters at most"),
        "path": Property(str, replaces=True, pattern=r"/([\x21-\x7e]*/)?", rule="a path that begins and ends with /"),
        "maxSessionDuration": Property(int, values=frozenset(range(3600, 43201))),
        "permissionsBoundary": arn_property("iam"),
        "forceDetachPolicies": Property(bool),
        "tags": TAGS,
    }
    computed = ("arn", "createDate", "maxSessionDuration", "path", "uniqueId")

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        return [*super().invalid(inputs), *json_faults(inputs, "assumeRolePolicy")]

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        letters = string.ascii_uppercase + string.digits
        return {
            "arn": self.arn(inputs, f"role{inputs.get('path', '/')}{id}"),
            "createDate": timestamp(),
            "maxSessionDuration": inputs.get("maxSessionDuration", 3600),
            "path": inputs.get("path", "/"),
            "uniqueId": "AROA" + "".join(secrets.choice(letters) for _ in range(17)),
        }

    @override
    def unmake(self, record: Record) -> None:
        having = [*self.others("RolePolicy", role=record.id), *self.others("RolePolicyAttachment", role=record.id)]
        if having:
            names = ", ".join(each.id for each in having)
            raise Refused(f"409 DeleteConflict: cannot delete entity, must remove its policies first: {names}")


class RolePolicy(_InIam):
    """A policy that is a role's own. AWS takes one of the same name in place of the other."""

    title = "IAM role policy"
    autonamed = True
    unique_id = False
    properties: ClassVar[Mapping[str, Property]] = {
        "name": Property(
            str, replaces=True, pattern=r"[\w+=,.@-]{1,128}", rule="at most 128 letters, digits and _+=,.@-"
        ),
        "role": ROLE,
        "policy": Property(str, required=True),
    }

    @override
    def identify(self, inputs: Properties) -> str:
        return f"{inputs['role']}:{inputs['name']}"

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        return json_faults(inputs, "policy")

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        self.existing("Role", inputs["role"])
        return {}


class RolePolicyAttachment(_InIam):
    """A policy for a role; attaching it twice is attaching it once."""

    title = "IAM role policy attachment"
    unique_id = False
    properties: ClassVar[Mapping[str, Property]] = {
        "role": ROLE,
        "policyArn": arn_property("iam", required=True, replaces=True),
    }

    @override
    def identify(self, inputs: Properties) -> str:
        return f"{inputs['role']}/{inputs['policyArn']}"

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        self.existing("Role", inputs["role"])
        if inputs["policyArn"].removeprefix(AWS_POLICY) not in AWS_POLICIES:
            raise Refused(f"404 NoSuchEntity: policy {inputs['policyArn']} does not exist or is not attachable")
        return {}


class OpenIdConnectProvider(_InIam):
    """A cluster whose service accounts' tokens are believed."""

    title = "OpenID Connect provider"
    properties: ClassVar[Mapping[str, Property]] = {
        "url": Property(str, required=True, replaces=True, pattern=r"https://\S+", rule="a URL that begins https://"),
        "clientIdLists": Property(list, required=True, each=str),
        "thumbprintLists": Property(list, each=str, pattern="[0-9a-f]{40}", rule="a certificate's SHA-1, 40 digits"),
        "tags": TAGS,
    }
    computed = ("arn", "thumbprintLists")

    @override
    def identify(self, inputs: Properties) -> str:
        return self.arn(inputs, f"oidc-provider/{inputs['url'].removeprefix('https://')}")

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        return {"arn": id, "thumbprintLists": inputs.get("thumbprintLists") or [secrets.token_hex(20)]}
