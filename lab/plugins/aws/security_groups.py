"""Security groups: who may connect to what. For databases that is real."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Account, Record
from lab.plugins.aws import doors
from lab.plugins.aws.account import NUMBER
from lab.plugins.aws.kind import CIDR, CIDR_RULE, REGION, TAGS, AwsKind, id_property
from lab.plugins.declared import Property
from lab.plugins.kind import Refused
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure

ALL_PROTOCOLS = "-1"
SOURCES = ("cidrIpv4", "cidrIpv6", "prefixListId", "referencedSecurityGroupId")
_DESCRIPTION = Property(
    str, pattern=r"[A-Za-z0-9. _:/()#,@\[\]+=&;{}!$*-]{0,255}", rule="at most 255 of A-Za-z0-9. _-:/()#,@[]+=&;{}!$*"
)


class SecurityGroup(AwsKind):
    """A group of network interfaces that have rules in common; the rules are resources of their own here."""

    module = "ec2"
    service = "ec2"
    title = "security group"
    prefix = "sg"
    autonamed = True
    unique_name = True
    properties: ClassVar[Mapping[str, Property]] = {
        "name": Property(
            str, replaces=True, pattern=r"(?!sg-).{1,255}", rule="255 characters at most, not beginning with sg-"
        ),
        "description": Property(str, replaces=True, pattern=_DESCRIPTION.pattern, rule=_DESCRIPTION.rule),
        "vpcId": id_property("vpc", replaces=True),
        "revokeRulesOnDelete": Property(bool),
        "region": REGION,
        "tags": TAGS,
    }
    computed = ("arn", "description", "egress", "ingress", "ownerId")

    @override
    def clashes(self, inputs: Properties, there: Record) -> bool:
        """A name is one VPC's."""
        return super().clashes(inputs, there) and inputs.get("vpcId") == there.inputs.get("vpcId")

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        if inputs.get("vpcId"):
            self.existing("Vpc", inputs["vpcId"])
        return {
            "arn": self.arn(inputs, f"security-group/{id}"),
            "description": inputs.get("description", "Managed by Pulumi"),
            "egress": [],
            "ingress": [],
            "ownerId": NUMBER,
        }

    @override
    def unmake(self, record: Record) -> None:
        users = [
            each
            for each in self.account.records()
            if record.id in (each.inputs.get("vpcSecurityGroupIds") or [])
            or record.id == each.inputs.get("referencedSecurityGroupId")
        ]
        self.refuse_while(users, f"resource {record.id}")
        rule = "SecurityGroupIngressRule"
        self.account.remove_all(lambda each: each.type == rule and each.inputs["securityGroupId"] == record.id)


class SecurityGroupIngressRule(AwsKind):
    """Whom a group takes connections from."""

    module = "vpc"
    service = "ec2"
    title = "security group rule"
    prefix = "sgr"
    properties: ClassVar[Mapping[str, Property]] = {
        "securityGroupId": id_property("sg", required=True, replaces=True),
        "ipProtocol": Property(str, required=True, pattern="tcp|udp|icmp|-1", rule="tcp, udp, icmp or -1"),
        "fromPort": Property(int),
        "toPort": Property(int),
        "cidrIpv4": Property(str, pattern=CIDR, rule=CIDR_RULE),
        "cidrIpv6": Property(str),
        "prefixListId": Property(str),
        "referencedSecurityGroupId": id_property("sg"),
        "description": _DESCRIPTION,
        "region": REGION,
        "tags": TAGS,
    }
    computed = ("arn", "securityGroupRuleId")

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
    def clashes(self, inputs: Properties, there: Record) -> bool:
        """The same rule twice is refused, whatever is said in words (InvalidPermission.Duplicate)."""
        what = ("securityGroupId", "ipProtocol", "fromPort", "toPort", *SOURCES)
        return all(inputs.get(name) == there.inputs.get(name) for name in what)

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        self._check(inputs)
        doors.set_all(self.account)
        return {"arn": self.arn(inputs, f"security-group-rule/{id}"), "securityGroupRuleId": id}

    @override
    def change(self, record: Record, new: Properties) -> Properties:
        self._check(new)
        record.inputs = new
        self.account.put(record)
        doors.set_all(self.account)
        return {}

    @override
    def unmake(self, record: Record) -> None:
        self.account.remove(self.type, record.id)
        doors.set_all(self.account)

    def _check(self, inputs: Properties) -> None:
        group = self.existing("SecurityGroup", inputs["securityGroupId"])
        source = inputs.get("referencedSecurityGroupId")
        if source and network_of_group(self.account, source) != group.inputs.get("vpcId"):
            raise Refused(f"400 InvalidGroup.NotFound: {group.inputs.get('vpcId')} has no security group {source!r}")
        if inputs.get("cidrIpv4"):
            ipaddress.IPv4Network(inputs["cidrIpv4"], strict=False)


def network_of_group(account: Account, group: str) -> str | None:
    """The VPC of a security group, also of one that EKS has made for a cluster; None if there is no such group."""
    for each in account.records():
        if each.type == "SecurityGroup" and each.id == group:
            return each.inputs.get("vpcId")
        vpc: Properties = each.outputs.get("vpcConfig") or {}
        if each.type == "Cluster" and vpc.get("clusterSecurityGroupId") == group:
            return vpc["vpcId"]
    return None
