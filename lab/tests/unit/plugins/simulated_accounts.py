"""A simulated account used as the engine uses it, and valid inputs for its types."""

from __future__ import annotations

from typing import Any

from lab.plugins.aws.cloud import Aws
from lab.plugins.properties import Properties
from lab.plugins.provider import Created, Resource
from lab.plugins.simulated import SimulatedCloud

PROJECT = "acme-prod-1"
NETWORK = f"projects/{PROJECT}/global/networks/ours"
UUID = "00000000-0000-0000-0000-000000000000"
#: A network of each cloud: the type that stands for all types, and its inputs.
NETWORKS: dict[str, tuple[str, Properties]] = {
    "aws": ("Vpc", {"cidrBlock": "10.64.0.0/16"}),
    "digitalocean": ("Vpc", {"region": "fra1", "name": "ours"}),
    "gcp": ("Network", {"name": "ours"}),
}


def resource(cloud: SimulatedCloud, kind: str, id: str = "", preview: bool = False) -> Resource:
    # Of two types with one name, the one that is declared first.
    token, *_ = [each for each in cloud._tokens if each.endswith(f":{kind}")]  # pyright: ignore[reportPrivateUsage]
    return Resource(urn="urn:test", type=token, name="test", id=id, preview=preview, random_seed=bytes(16))


def make(cloud: SimulatedCloud, kind: str, **inputs: Any) -> Created:
    """Check the inputs and create the resource."""
    checked = cloud.check(resource(cloud, kind), {}, inputs)
    assert list(checked.failures) == []
    return cloud.create(resource(cloud, kind), checked.inputs)


def network(cloud: SimulatedCloud, **inputs: Any) -> Created:
    """Create a network with the cloud's valid inputs."""
    kind, valid = NETWORKS[cloud.name]
    return make(cloud, kind, **{**valid, **inputs})


def delete(cloud: SimulatedCloud, kind: str, id: str, inputs: Properties | None = None) -> None:
    cloud.delete(resource(cloud, kind, id), inputs or {}, {})


class AwsNetwork:
    """A VPC with two private subnets that have a way out, as the program creates it."""

    def __init__(self, cloud: Aws) -> None:
        self.cloud = cloud
        self.vpc = network(cloud).id
        public = make(cloud, "Subnet", vpcId=self.vpc, cidrBlock="10.64.0.0/20", availabilityZone="eu-central-1a").id
        self.gateway = make(cloud, "InternetGateway", vpcId=self.vpc).id
        self.address = make(cloud, "Eip", domain="vpc").outputs["allocationId"]
        self.nat = make(cloud, "NatGateway", subnetId=public, allocationId=self.address).id
        self.subnets = [self.private(number, zone) for number, zone in enumerate("ab", start=1)]

    def private(self, number: int, zone: str, way_out: bool = True) -> str:
        """Create a private subnet; return its id."""
        block, zone = f"10.64.{number * 32}.0/20", f"eu-central-1{zone}"
        subnet = make(self.cloud, "Subnet", vpcId=self.vpc, cidrBlock=block, availabilityZone=zone).id
        if way_out:
            routes = [{"cidrBlock": "0.0.0.0/0", "natGatewayId": self.nat}]
            table = make(self.cloud, "RouteTable", vpcId=self.vpc, routes=routes).id
            make(self.cloud, "RouteTableAssociation", subnetId=subnet, routeTableId=table)
        return subnet
