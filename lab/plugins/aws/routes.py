"""Route tables, and which subnet uses which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Account, Record
from lab.plugins.aws.account import NUMBER
from lab.plugins.aws.kind import CIDR, CIDR_RULE, REGION, TAGS, AwsKind, id_property
from lab.plugins.declared import Property
from lab.plugins.kind import Refused
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure

ANYWHERE = "0.0.0.0/0"
TARGETS = {"gatewayId": "InternetGateway", "natGatewayId": "NatGateway"}


class RouteTable(AwsKind):
    """Where traffic of its subnets goes."""

    module = "ec2"
    service = "ec2"
    title = "route table"
    prefix = "rtb"
    properties: ClassVar[Mapping[str, Property]] = {
        "vpcId": id_property("vpc", required=True, replaces=True),
        "routes": Property(
            list,
            inner={
                "cidrBlock": Property(str, pattern=CIDR, rule=CIDR_RULE),
                "gatewayId": id_property("igw"),
                "natGatewayId": id_property("nat"),
            },
        ),
        "region": REGION,
        "tags": TAGS,
    }
    computed = ("arn", "ownerId")

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        found = super().invalid(inputs)
        for index, route in enumerate(inputs.get("routes") or []):
            if sum(bool(route.get(name)) for name in TARGETS) != 1:
                found.append(Failure(f"routes[{index}]", f"must have one target of {', '.join(TARGETS)}."))
        return found

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        self._check(inputs)
        return {"arn": self.arn(inputs, f"route-table/{id}"), "ownerId": NUMBER}

    @override
    def change(self, record: Record, new: Properties) -> Properties:
        self._check(new)
        return {}

    def _check(self, inputs: Properties) -> None:
        self.existing("Vpc", inputs["vpcId"])
        for route in inputs.get("routes") or []:
            for name, kind in TARGETS.items():
                if route.get(name):
                    self.existing(kind, route[name])

    @override
    def unmake(self, record: Record) -> None:
        self.refuse_while(self.others("RouteTableAssociation", routeTableId=record.id), f"the routeTable '{record.id}'")


class RouteTableAssociation(AwsKind):
    """A subnet's choice of a table; it has one."""

    module = "ec2"
    service = "ec2"
    title = "route table association"
    prefix = "rtbassoc"
    properties: ClassVar[Mapping[str, Property]] = {
        "routeTableId": id_property("rtb", required=True),
        "subnetId": id_property("subnet", required=True, replaces=True),
        "region": REGION,
    }

    @override
    def find(self, id: str) -> Record | None:
        """By its id, or as it is imported: ``SUBNET/TABLE``."""
        subnet, slash, table = id.partition("/")
        found = self.others(self.type, subnetId=subnet, routeTableId=table) if slash else []
        return found[0] if found else super().find(id)

    @override
    def clashes(self, inputs: Properties, there: Record) -> bool:
        return inputs["subnetId"] == there.inputs["subnetId"]

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        self._check(inputs)
        return {}

    @override
    def change(self, record: Record, new: Properties) -> Properties:
        self._check(new)
        return {}

    def _check(self, inputs: Properties) -> None:
        table, subnet = self.existing("RouteTable", inputs["routeTableId"]), self.existing("Subnet", inputs["subnetId"])
        if table.inputs["vpcId"] != subnet.inputs["vpcId"]:
            raise Refused(f"400 InvalidParameterValue: {table.id} and {subnet.id} belong to different networks")


def reaches_out(account: Account, subnet: str) -> bool:
    """Whether what is in the subnet reaches AWS's public services."""
    for each in account.records():
        if each.type == "RouteTableAssociation" and each.inputs["subnetId"] == subnet:
            table = account.get("RouteTable", each.inputs["routeTableId"])
            routes = (table.inputs.get("routes") or []) if table else []
            return any(route.get("cidrBlock") == ANYWHERE for route in routes)
    return False
