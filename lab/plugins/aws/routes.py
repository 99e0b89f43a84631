"""Route tables, and which subnet uses which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Account, Record
from lab.plugins.aws.kind import CIDR, AwsKind, id_of
from lab.plugins.kind import ApiError
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure
from lab.plugins.rules import Rule

ANYWHERE = "0.0.0.0/0"
TARGETS = ("gatewayId", "natGatewayId")


class RouteTable(AwsKind):
    """Where the traffic of its subnets goes."""

    module = "ec2"
    title = "route table"
    prefix = "rtb"
    arn = "ec2:route-table/{id}"
    rules: ClassVar[Mapping[str, Rule]] = {
        "routes.cidrBlock": CIDR,
        "routes.gatewayId": id_of("igw"),
        "routes.natGatewayId": id_of("nat"),
    }
    replaces = ("vpcId", "region")
    references: ClassVar[Mapping[str, str]] = {
        "vpcId": "Vpc", "routes.gatewayId": "InternetGateway", "routes.natGatewayId": "NatGateway",
    }  # fmt: skip
    used_by: ClassVar[Mapping[str, str]] = {"RouteTableAssociation": "routeTableId"}

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        found = super().invalid(inputs)
        for index, route in enumerate(inputs.get("routes") or []):
            if sum(bool(route.get(name)) for name in TARGETS) != 1:
                found.append(Failure(f"routes[{index}]", f"must have one of the targets {', '.join(TARGETS)}."))
        return found


class RouteTableAssociation(AwsKind):
    """A subnet's choice of a table; it has one."""

    module = "ec2"
    title = "route table association"
    prefix = "rtbassoc"
    rules: ClassVar[Mapping[str, Rule]] = {"routeTableId": id_of("rtb")}
    required = ("subnetId",)
    replaces = ("subnetId", "region")

    @override
    def find(self, id: str) -> Record | None:
        """Find it by its id, or by its import id ``SUBNET/TABLE``."""
        subnet, slash, table = id.partition("/")
        found = self.account.records(self.type, subnetId=subnet, routeTableId=table) if slash else []
        return found[0] if found else super().find(id)

    @override
    def conflicts(self, inputs: Properties, existing: Record) -> bool:
        return inputs["subnetId"] == existing.inputs["subnetId"]

    @override
    def check_dependencies(self, inputs: Properties) -> None:
        table, subnet = self.existing("RouteTable", inputs["routeTableId"]), self.existing("Subnet", inputs["subnetId"])
        if table.inputs["vpcId"] != subnet.inputs["vpcId"]:
            raise ApiError(f"400 InvalidParameterValue: {table.id} and {subnet.id} belong to different networks")


def has_way_out(account: Account, subnet: str) -> bool:
    """Return whether a subnet's traffic reaches AWS's public services."""
    for each in account.records("RouteTableAssociation", subnetId=subnet):
        table = account.get("RouteTable", each.inputs["routeTableId"])
        routes = (table.inputs.get("routes") or []) if table else []
        return any(route.get("cidrBlock") == ANYWHERE for route in routes)
    return False
