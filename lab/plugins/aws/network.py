"""VPCs and their parts. Nothing real stands behind them, but the account keeps their relations as AWS does."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.aws.account import zones
from lab.plugins.aws.kind import CIDR, AwsKind, id_of
from lab.plugins.kind import ApiError
from lab.plugins.properties import Properties, Value
from lab.plugins.provider import Failure
from lab.plugins.rules import Rule, matches, one_of

#: Public addresses come from the block reserved for documentation (RFC 5737).
PUBLIC_ADDRESSES = ipaddress.IPv4Network("203.0.113.0/24")


class _WithRange(AwsKind):
    """A resource with an address range."""

    module = "ec2"

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        found = super().invalid(inputs)
        block = inputs.get("cidrBlock", "")
        try:
            valid = 16 <= ipaddress.IPv4Network(block).prefixlen <= 28
        except ValueError:
            valid = False
        return found if valid else [*found, Failure("cidrBlock", f"is {block!r}, and must be a range of /16 to /28.")]


class Vpc(_WithRange):
    """A private network."""

    title = "VPC"
    prefix = "vpc"
    arn = "ec2:vpc/{id}"
    rules: ClassVar[Mapping[str, Rule]] = {"cidrBlock": CIDR}
    replaces = ("cidrBlock", "region")
    defaults: ClassVar[Mapping[str, Value]] = {"enableDnsSupport": True}
    used_by: ClassVar[Mapping[str, str]] = {
        "Subnet": "vpcId", "InternetGateway": "vpcId", "RouteTable": "vpcId", "SecurityGroup": "vpcId",
        "VpcEndpoint": "vpcId",
    }  # fmt: skip

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        number = id.removeprefix("vpc-")
        return {
            **super().create(id, inputs),
            "defaultNetworkAclId": f"acl-{number}",
            "defaultRouteTableId": f"rtb-{number}",
            "defaultSecurityGroupId": f"sg-{number}",
            "dhcpOptionsId": "dopt-0a1b2c3d4e5f60718",
            "mainRouteTableId": f"rtb-{number}",
        }


class Subnet(_WithRange):
    """A range of a VPC, in one zone."""

    title = "subnet"
    prefix = "subnet"
    arn = "ec2:subnet/{id}"
    rules: ClassVar[Mapping[str, Rule]] = {
        "cidrBlock": CIDR,
        "availabilityZone": matches(r"[a-z]+-[a-z]+-[0-9][a-f]", "a zone's name"),
    }
    replaces = ("vpcId", "cidrBlock", "availabilityZone", "region")
    filled_in = ("availabilityZone",)
    used_by: ClassVar[Mapping[str, str]] = {
        "NatGateway": "subnetId",
        "SubnetGroup": "subnetIds",
        "NodeGroup": "subnetIds",
        "Cluster": "vpcConfig.subnetIds",
    }

    @override
    def conflicts(self, inputs: Properties, existing: Record) -> bool:
        """Return whether the ranges overlap in one VPC."""
        mine, other = (ipaddress.IPv4Network(each["cidrBlock"]) for each in (inputs, existing.inputs))
        return inputs["vpcId"] == existing.inputs["vpcId"] and mine.overlaps(other)

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        whole = self.existing("Vpc", inputs["vpcId"]).inputs["cidrBlock"]
        if not ipaddress.IPv4Network(inputs["cidrBlock"]).subnet_of(ipaddress.IPv4Network(whole)):
            raise ApiError(f"400 InvalidSubnet.Range: {inputs['cidrBlock']} is not in the VPC's {whole}")
        known = zones(inputs["region"])
        zone = inputs.get("availabilityZone", next(iter(known)))
        if zone not in known:
            raise ApiError(
                f"400 InvalidParameterValue: value ({zone}) for parameter availabilityZone is invalid; subnets can be"
                f" created in {', '.join(known)}"
            )
        return {**super().create(id, inputs), "availabilityZone": zone}


class VpcEndpoint(AwsKind):
    """A way to a service of AWS that needs no NAT gateway; only the kind for S3 and DynamoDB, which is free."""

    module = "ec2"
    title = "VPC endpoint"
    prefix = "vpce"
    arn = "ec2:vpc-endpoint/{id}"
    rules: ClassVar[Mapping[str, Rule]] = {
        "serviceName": matches(r"com\.amazonaws\.[a-z0-9-]+\.(s3|dynamodb)", "com.amazonaws.REGION.s3"),
        "vpcEndpointType": one_of("Gateway"),
        "routeTableIds": id_of("rtb"),
    }
    required = ("serviceName",)
    not_simulated = ("subnetIds", "securityGroupIds", "serviceNetworkArn", "resourceConfigurationArn")
    replaces = ("vpcId", "serviceName", "vpcEndpointType", "region")
    references: ClassVar[Mapping[str, str]] = {"vpcId": "Vpc", "routeTableIds": "RouteTable"}

    @override
    def conflicts(self, inputs: Properties, existing: Record) -> bool:
        """Return whether a route table leads to the service already (RouteAlreadyExists)."""
        same = inputs.get("serviceName") == existing.inputs.get("serviceName")
        return same and bool({*(inputs.get("routeTableIds") or [])} & {*(existing.inputs.get("routeTableIds") or [])})

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        if inputs["serviceName"].split(".")[2] != inputs["region"]:
            raise ApiError(f"400 InvalidServiceName: the service {inputs['serviceName']} does not exist here")
        return {**super().create(id, inputs), "state": "available"}


class InternetGateway(AwsKind):
    """The VPC's gateway to the internet; it has one."""

    module = "ec2"
    title = "internet gateway"
    prefix = "igw"
    arn = "ec2:internet-gateway/{id}"
    replaces = ("region",)
    references: ClassVar[Mapping[str, str]] = {"vpcId": "Vpc"}

    @override
    def conflicts(self, inputs: Properties, existing: Record) -> bool:
        return bool(inputs.get("vpcId")) and inputs.get("vpcId") == existing.inputs.get("vpcId")

    @override
    def check_unused(self, record: Record) -> None:
        """Raise ApiError while a NAT gateway in the VPC needs it."""
        inside = {each.id for each in self.account.records("Subnet", vpcId=record.inputs.get("vpcId", ""))}
        if any(each.inputs.get("subnetId") in inside for each in self.account.records("NatGateway")):
            raise ApiError("400 DependencyViolation: a network with mapped public addresses has a dependent object")


class Eip(AwsKind):
    """A public address."""

    module = "ec2"
    title = "elastic IP address"
    prefix = "eipalloc"
    arn = "ec2:elastic-ip/{id}"
    rules: ClassVar[Mapping[str, Rule]] = {"domain": one_of("vpc")}
    replaces = ("domain", "region")
    used_by: ClassVar[Mapping[str, str]] = {"NatGateway": "allocationId"}

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        taken = {each.outputs.get("publicIp") for each in self.account.records("Eip")}
        address = next(str(each) for each in PUBLIC_ADDRESSES.hosts() if str(each) not in taken)
        host = f"ec2-{address.replace('.', '-')}"
        return {
            **super().create(id, inputs),
            "allocationId": id,
            "publicDns": f"{host}.{inputs['region']}.compute.amazonaws.com",
            "publicIp": address,
        }


class NatGateway(AwsKind):
    """The way to the internet from private subnets."""

    module = "ec2"
    title = "NAT gateway"
    prefix = "nat"
    rules: ClassVar[Mapping[str, Rule]] = {"allocationId": id_of("eipalloc")}
    required = ("subnetId", "allocationId")
    not_simulated = ("connectivityType",)
    replaces = ("subnetId", "allocationId", "region")
    references: ClassVar[Mapping[str, str]] = {"subnetId": "Subnet", "allocationId": "Eip"}

    @override
    def conflicts(self, inputs: Properties, existing: Record) -> bool:
        """Return whether the gateway's address belongs to another gateway."""
        return inputs["allocationId"] == existing.inputs["allocationId"]

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        subnet = self.existing("Subnet", inputs["subnetId"])
        address = self.existing("Eip", inputs["allocationId"])
        if not self.account.records("InternetGateway", vpcId=subnet.inputs["vpcId"]):
            raise ApiError(
                f"400 Gateway.NotAttached: network {subnet.inputs['vpcId']} has no internet gateway attached"
            )
        return {
            "associationId": f"eipassoc-{id.removeprefix('nat-')}",
            "networkInterfaceId": f"eni-{id.removeprefix('nat-')}",
            "publicIp": address.outputs.get("publicIp", ""),
        }
