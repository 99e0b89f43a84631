"""A simulated AWS account of a test's own, used as the engine uses it."""

from __future__ import annotations

import json
from typing import Any

from lab.plugins.aws.cloud import Aws
from lab.plugins.engine import Engine
from lab.plugins.provider import Created, Resource


def configured(region: str = "eu-central-1", **tags: str) -> Aws:
    provider = Aws(Engine())
    provider.configure({"region": region, "defaultTags": json.dumps({"tags": tags})})
    return provider


def resource(cloud: Aws, kind: str, id: str = "", preview: bool = False) -> Resource:
    (token,) = [each for each in cloud._tokens if each.endswith(f":{kind}")]  # pyright: ignore[reportPrivateUsage]
    return Resource(urn="urn:test", type=token, name="test", id=id, preview=preview, random_seed=bytes(16))


def make(cloud: Aws, kind: str, **inputs: Any) -> Created:
    """Check it and make it, as the engine does."""
    checked = cloud.check(resource(cloud, kind), {}, inputs)
    assert not checked.failures, checked.failures
    return cloud.create(resource(cloud, kind), checked.inputs)


def wrong(cloud: Aws, kind: str, **inputs: Any) -> list[str]:
    return [each.property for each in cloud.check(resource(cloud, kind), {}, inputs).failures]


class Network:
    """A VPC with two private subnets that reach out, as the program makes it."""

    def __init__(self, cloud: Aws) -> None:
        self.cloud = cloud
        self.vpc = make(cloud, "Vpc", cidrBlock="10.64.0.0/16").id
        public = make(cloud, "Subnet", vpcId=self.vpc, cidrBlock="10.64.0.0/20", availabilityZone="eu-central-1a").id
        self.gateway = make(cloud, "InternetGateway", vpcId=self.vpc).id
        self.address = make(cloud, "Eip", domain="vpc").outputs["allocationId"]
        self.nat = make(cloud, "NatGateway", subnetId=public, allocationId=self.address).id
        self.subnets = [self.private(number, zone) for number, zone in enumerate("ab", start=1)]

    def private(self, number: int, zone: str, reaching_out: bool = True) -> str:
        made = make(
            self.cloud,
            "Subnet",
            vpcId=self.vpc,
            cidrBlock=f"10.64.{number * 32}.0/20",
            availabilityZone=f"eu-central-1{zone}",
        )
        if reaching_out:
            routes = [{"cidrBlock": "0.0.0.0/0", "natGatewayId": self.nat}]
            table = make(self.cloud, "RouteTable", vpcId=self.vpc, routes=routes).id
            make(self.cloud, "RouteTableAssociation", subnetId=made.id, routeTableId=table)
        return made.id
