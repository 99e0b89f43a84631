"""Security groups: who may connect to what. For databases the rules really apply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Account, Record
from lab.plugins.aws import database_access
from lab.plugins.aws.kind import CIDR, AwsKind, id_of
from lab.plugins.kind import ApiError
from lab.plugins.properties import Properties, Value
from lab.plugins.provider import Failure
from lab.plugins.rules import Rule, matches

ALL_PROTOCOLS = "-1"
SOURCES = ("cidrIpv4", "cidrIpv6", "prefixListId", "referencedSecurityGroupId")
DESCRIPTION = matches(r"[A-Za-z0-9. _:/()#,@\[\]+=&;{}!$*-]{0,255}", "at most 255 of A-Za-z0-9. _-:/()#,@[]+=&;{}!$*")


class SecurityGroup(AwsKind):
    """A group of network interfaces with common rules; here, the rules are resources of their own."""

    module = "ec2"
    title = "security group"
    prefix = "sg"
    arn = "ec2:security-group/{id}"
    autonamed = True
    unique_name = True
    rules: ClassVar[Mapping[str, Rule]] = {
        "name": matches(r"(?!sg-).{1,255}", "at most 255 characters long, not beginning with sg-"),
        "description": DESCRIPTION,
    }
    not_simulated = ("ingress", "egress")
    replaces = ("name", "description", "vpcId", "region")
    defaults: ClassVar[Mapping[str, Value]] = {"description": "Managed by Pulumi", "egress": [], "ingress": []}
    references: ClassVar[Mapping[str, str]] = {"vpcId": "Vpc"}
    used_by: ClassVar[Mapping[str, str]] = {
        "Instance": "vpcSecurityGroupIds",
        "LaunchTemplate": "vpcSecurityGroupIds",
        "SecurityGroupIngressRule": "referencedSecurityGroupId",
    }
    deleted_with: ClassVar[Mapping[str, str]] = {"SecurityGroupIngressRule": "securityGroupId"}

    @override
    def conflicts(self, inputs: Properties, existing: Record) -> bool:
        """Return whether one VPC has the name already."""
        return super().conflicts(inputs, existing) and inputs.get("vpcId") == existing.inputs.get("vpcId")


class SecurityGroupIngressRule(AwsKind):
    """From where a group accepts connections."""

    module = "vpc"
    title = "security group rule"
    prefix = "sgr"
    arn = "ec2:security-group-rule/{id}"
    rules: ClassVar[Mapping[str, Rule]] = {
        "securityGroupId": id_of("sg"),
        "referencedSecurityGroupId": id_of("sg"),
        "ipProtocol": matches("tcp|udp|icmp|-1", "tcp, udp, icmp or -1"),
        "cidrIpv4": CIDR,
        "description": DESCRIPTION,
    }
    replaces = ("securityGroupId", "region")

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        found = super().invalid(inputs)
        if sum(bool(inputs.get(name)) for name in SOURCES) != 1:
            found.append(Failure("cidrIpv4", f"exactly one of {', '.join(SOURCES)} must be given."))
        ports = (inputs.get("fromPort"), inputs.get("toPort"))
        if inputs["ipProtocol"] == ALL_PROTOCOLS and ports != (None, None):
            found.append(Failure("fromPort", "must not be given with all protocols (-1)."))
        if inputs["ipProtocol"] != ALL_PROTOCOLS and None in ports:
            found.append(Failure("fromPort", "and toPort must be given with a protocol."))
        return found

    @override
    def conflicts(self, inputs: Properties, existing: Record) -> bool:
        """Return whether the rules are the same but for their descriptions (InvalidPermission.Duplicate)."""
        names = ("securityGroupId", "ipProtocol", "fromPort", "toPort", *SOURCES)
        return all(inputs.get(name) == existing.inputs.get(name) for name in names)

    @override
    def check_dependencies(self, inputs: Properties) -> None:
        group = self.existing("SecurityGroup", inputs["securityGroupId"])
        source, network = inputs.get("referencedSecurityGroupId"), group.inputs.get("vpcId")
        if source and network_of_group(self.account, source) != network:
            raise ApiError(f"400 InvalidGroup.NotFound: {network} has no security group {source!r}")

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        database_access.apply_all(self.account)
        return {**super().create(id, inputs), "securityGroupRuleId": id}

    @override
    def update(self, record: Record, new: Properties) -> Properties:
        database_access.apply_change(self.account, record, new)
        return {}

    @override
    def delete(self, record: Record) -> None:
        self.account.remove(self.type, record.id)
        database_access.apply_all(self.account)


def network_of_group(account: Account, group: str) -> str | None:
    """Return the VPC of a security group, including those that EKS creates for a cluster; None if there is none."""
    if own := account.get("SecurityGroup", group):
        return own.inputs.get("vpcId")
    for each in account.records("Cluster"):
        vpc: Properties = each.outputs.get("vpcConfig") or {}
        if vpc.get("clusterSecurityGroupId") == group:
            return vpc["vpcId"]
    return None
