"""VPCs and what is in them; nothing real is behind these, but what belongs to what is kept as AWS keeps it."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.aws.account import NUMBER, zones
from lab.plugins.aws.kind import CIDR, CIDR_RULE, REGION, TAGS, AwsKind, id_property
from lab.plugins.declared import Property
from lab.plugins.kind import Refused
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure

#: Public addresses are shown from the block that is for documentation (RFC 5737).
PUBLIC_ADDRESSES = ipaddress.IPv4Network("203.0.113.0/24")


class _InEc2(AwsKind):
    module = "ec2"
    service = "ec2"


class _WithRange(_InEc2):
    """Something with a range of addresses."""

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        found = super().invalid(inputs)
        block = inputs.get("cidrBlock", "")
        try:
            good = 16 <= _network(block).prefixlen <= 28
        except ValueError:
            good = False
        return found if good else [*found, Failure("cidrBlock", f"is {block!r}, and must be a range of /16 to /28.")]


class Vpc(_WithRange):
    """A private network."""

    title = "VPC"
    prefix = "vpc"
    properties: ClassVar[Mapping[str, Property]] = {
        "cidrBlock": Property(str, replaces=True, pattern=CIDR, rule=CIDR_RULE),
        "enableDnsHostnames": Property(bool),
        "enableDnsSupport": Property(bool),
        "instanceTenancy": Property(str, values=frozenset({"default", "dedicated"})),
        "assignGeneratedIpv6CidrBlock": Property(bool),
        "region": REGION,
        "tags": TAGS,
    }
    computed = (
        "arn", "defaultNetworkAclId", "defaultRouteTableId", "defaultSecurityGroupId", "dhcpOptionsId",
        "enableDnsSupport", "instanceTenancy", "mainRouteTableId", "ownerId",
    )  # fmt: skip

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        table = f"rtb-{id.removeprefix('vpc-')}"
        return {
            "arn": self.arn(inputs, f"vpc/{id}"),
            "defaultNetworkAclId": f"acl-{id.removeprefix('vpc-')}",
            "defaultRouteTableId": table,
            "defaultSecurityGroupId": f"sg-{id.removeprefix('vpc-')}",
            "dhcpOptionsId": "dopt-0a1b2c3d4e5f60718",
            "enableDnsSupport": inputs.get("enableDnsSupport", True),
            "instanceTenancy": inputs.get("instanceTenancy", "default"),
            "mainRouteTableId": table,
            "ownerId": NUMBER,
        }

    @override
    def unmake(self, record: Record) -> None:
        members = [each for each in self.account.records() if each.inputs.get("vpcId") == record.id]
        self.refuse_while(members, f"the vpc '{record.id}'")


class Subnet(_WithRange):
    """A range of a VPC, in one zone."""

    title = "subnet"
    prefix = "subnet"
    properties: ClassVar[Mapping[str, Property]] = {
        "vpcId": id_property("vpc", required=True, replaces=True),
        "cidrBlock": Property(str, replaces=True, pattern=CIDR, rule=CIDR_RULE),
        "availabilityZone": Property(str, replaces=True, pattern=r"[a-z]+-[a-z]+-[0-9][a-f]", rule="a zone's name"),
        "mapPublicIpOnLaunch": Property(bool),
        "region": REGION,
        "tags": TAGS,
    }
    computed = ("arn", "availabilityZone", "availabilityZoneId", "mapPublicIpOnLaunch", "ownerId")

    @override
    def clashes(self, inputs: Properties, there: Record) -> bool:
        """Ranges in one VPC must not meet."""
        if inputs["vpcId"] != there.inputs["vpcId"]:
            return False
        return _network(inputs["cidrBlock"]).overlaps(_network(there.inputs["cidrBlock"]))

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        whole = self.existing("Vpc", inputs["vpcId"]).inputs["cidrBlock"]
        if not _network(inputs["cidrBlock"]).subnet_of(_network(whole)):
            raise Refused(f"400 InvalidSubnet.Range: {inputs['cidrBlock']} is not in the VPC's {whole}")
        known = zones(inputs["region"])
        zone = inputs.get("availabilityZone", next(iter(known)))
        if zone not in known:
            raise Refused(
                f"400 InvalidParameterValue: value ({zone}) for parameter availabilityZone is invalid; subnets can be"
                f" made in {', '.join(known)}"
            )
        return {
            "arn": self.arn(inputs, f"subnet/{id}"),
            "availabilityZone": zone,
            "availabilityZoneId": known[zone],
            "mapPublicIpOnLaunch": inputs.get("mapPublicIpOnLaunch", False),
            "ownerId": NUMBER,
        }

    @override
    def unmake(self, record: Record) -> None:
        users = [
            each
            for each in self.account.records()
            if record.id == each.inputs.get("subnetId", "")
            or record.id in each.inputs.get("subnetIds", [])
            or record.id in (each.inputs.get("vpcConfig") or {}).get("subnetIds", [])
        ]
        # An association goes with its subnet.
        users = [each for each in users if each.type != "RouteTableAssociation"]
        self.refuse_while(users, f"the subnet '{record.id}'")


class InternetGateway(_InEc2):
    """The VPC's way out; it has one."""

    title = "internet gateway"
    prefix = "igw"
    properties: ClassVar[Mapping[str, Property]] = {"vpcId": id_property("vpc"), "region": REGION, "tags": TAGS}
    computed = ("arn", "ownerId")

    @override
    def clashes(self, inputs: Properties, there: Record) -> bool:
        return bool(inputs.get("vpcId")) and inputs.get("vpcId") == there.inputs.get("vpcId")

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        if inputs.get("vpcId"):
            self.existing("Vpc", inputs["vpcId"])
        return {"arn": self.arn(inputs, f"internet-gateway/{id}"), "ownerId": NUMBER}

    @override
    def unmake(self, record: Record) -> None:
        inside = {each.id for each in self.others("Subnet", vpcId=record.inputs.get("vpcId", ""))}
        mapped = [each for each in self.others("NatGateway") if each.inputs.get("subnetId") in inside]
        self.refuse_while(mapped, "a network with mapped public addresses")


class Eip(_InEc2):
    """A public address."""

    title = "elastic IP address"
    prefix = "eipalloc"
    properties: ClassVar[Mapping[str, Property]] = {
        "domain": Property(str, replaces=True, values=frozenset({"vpc"})),
        "region": REGION,
        "tags": TAGS,
    }
    computed = ("allocationId", "arn", "publicDns", "publicIp")

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        taken = {each.outputs.get("publicIp") for each in self.others("Eip")}
        address = next(str(each) for each in PUBLIC_ADDRESSES.hosts() if str(each) not in taken)
        host = f"ec2-{address.replace('.', '-')}"
        return {
            "allocationId": id,
            "arn": self.arn(inputs, f"elastic-ip/{id}"),
            "publicDns": f"{host}.{inputs['region']}.compute.amazonaws.com",
            "publicIp": address,
        }

    @override
    def unmake(self, record: Record) -> None:
        self.refuse_while(self.others("NatGateway", allocationId=record.id), f"the address '{record.id}'")


class NatGateway(_InEc2):
    """The way out of private subnets."""

    title = "NAT gateway"
    prefix = "nat"
    properties: ClassVar[Mapping[str, Property]] = {
        "subnetId": id_property("subnet", replaces=True),
        "allocationId": id_property("eipalloc", replaces=True),
        "connectivityType": Property(str, replaces=True, values=frozenset({"public", "private"})),
        "region": REGION,
        "tags": TAGS,
    }
    computed = ("associationId", "connectivityType", "networkInterfaceId", "privateIp", "publicIp")

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        found = super().invalid(inputs)
        if not inputs.get("subnetId"):
            found.append(Failure("subnetId", "is missing, and this simulation knows NAT gateways of one subnet only."))
        if inputs.get("connectivityType", "public") == "public" and not inputs.get("allocationId"):
            found.append(Failure("allocationId", "is missing; a public NAT gateway needs an address."))
        return found

    @override
    def clashes(self, inputs: Properties, there: Record) -> bool:
        """An address can be of one gateway only."""
        return bool(inputs.get("allocationId")) and inputs.get("allocationId") == there.inputs.get("allocationId")

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        subnet = self.existing("Subnet", inputs["subnetId"])
        address = self.existing("Eip", inputs["allocationId"])
        if not self.others("InternetGateway", vpcId=subnet.inputs["vpcId"]):
            raise Refused(f"400 Gateway.NotAttached: network {subnet.inputs['vpcId']} has no internet gateway attached")
        return {
            "associationId": f"eipassoc-{id.removeprefix('nat-')}",
            "connectivityType": "public",
            "networkInterfaceId": f"eni-{id.removeprefix('nat-')}",
            "privateIp": str(_network(subnet.inputs["cidrBlock"])[4]),
            "publicIp": address.outputs.get("publicIp", ""),
        }


def _network(block: str) -> ipaddress.IPv4Network:
    return ipaddress.IPv4Network(block)
