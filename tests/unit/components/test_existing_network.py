"""Config key `vpc`: cluster and database in a network that exists already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from tests.unit.components.clouds import CLOUDS
from tests.unit.components.simulated import SimulatedCloud

VPC, SUBNETS = "vpc-0123456789abcdef0", ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
UUID = "01234567-89ab-cdef-0123-456789abcdef"
GOOGLE, SUBNETWORK = "projects/host-1/global/networks/shared", "projects/host-1/regions/us-central1/subnetworks/ours"
#: The keys, by cloud.
KEYS: dict[str, dict[str, Any]] = {
    "aws": {"vpc": VPC, "privateSubnets": SUBNETS},
    "digitalocean": {"vpc": UUID},
    "gcp": {"vpc": GOOGLE, "subnetwork": SUBNETWORK, "podsRange": "for-pods"},
}
#: Types that only a network of the stack's own has.
NETWORK = {
    *("Vpc", "Subnet", "NatGateway", "InternetGateway", "RouteTable"),
    *("Network", "Subnetwork", "Router", "RouterNat", "GlobalAddress", "Connection"),
}


@pytest.fixture
def simulated(request: pytest.FixtureRequest) -> SimulatedCloud:
    return next(each for each in CLOUDS if each.name == request.param)


@pytest.fixture(autouse=True)
def subnets(cloud: Any) -> dict[str, str]:
    """Zones of the VPC's subnets on AWS; the test changes them."""
    zones: dict[str, str] = dict(zip(SUBNETS, ("us-east-1a", "us-east-1b"), strict=True))
    cloud.functions["aws:ec2/getSubnets:getSubnets"] = lambda _: {"ids": [*zones], "id": "x", "region": "us-east-1"}
    cloud.functions["aws:ec2/getSubnet:getSubnet"] = lambda args: {**args, "availabilityZone": zones[args["id"]]}
    return zones


@pytest.mark.parametrize("simulated", ["aws", "digitalocean", "gcp"], indirect=True)
def test_an_existing_network_is_used_and_none_is_made(graph: Callable[..., Any], simulated: SimulatedCloud):
    stack = graph(**KEYS[simulated.name])
    made = {each.type.rpartition(":")[2] for each in stack.resources if not each.type.startswith("delivery:")}
    assert not made & NETWORK
    if simulated.name == "aws":
        cluster = next(each for each in stack.resources if each.type == "aws:eks/cluster:Cluster")
        assert cluster.inputs["vpcConfig"]["subnetIds"] == SUBNETS
        assert stack.one("SubnetGroup").inputs["subnetIds"] == SUBNETS
        assert stack.one("SecurityGroup").inputs["vpcId"] == VPC
    elif simulated.name == "digitalocean":
        assert stack.one("KubernetesCluster").inputs["vpcUuid"] == UUID
        assert stack.one("DatabaseCluster").inputs["privateNetworkUuid"] == UUID
    else:
        cluster = next(each for each in stack.resources if each.type == "gcp:container/cluster:Cluster")
        assert (cluster.inputs["network"], cluster.inputs["subnetwork"]) == (GOOGLE, SUBNETWORK)
        ranges = cluster.inputs["ipAllocationPolicy"]
        assert (ranges["clusterSecondaryRangeName"], ranges["servicesSecondaryRangeName"]) == ("for-pods", "services")
        settings = stack.one("DatabaseInstance").inputs["settings"]
        assert settings["ipConfiguration"]["privateNetwork"] == GOOGLE
        zone, record = stack.one("ManagedZone"), stack.one("RecordSet")
        assert zone.inputs["dnsName"] == record.inputs["name"], "another stack's zone may be in the network"
        of_region = graph().one("ManagedZone")
        assert zone.inputs["name"] != of_region.inputs["name"], "or the old zone is deleted before the new one is there"


@pytest.mark.parametrize("simulated", ["aws"], indirect=True)
def test_subnets_must_be_in_the_vpc_and_in_two_zones(graph: Callable[..., Any], subnets: dict[str, str]):
    subnets[SUBNETS[1]] = subnets[SUBNETS[0]]
    with pytest.raises(pulumi.RunError, match="privateSubnets: are all in us-east-1a"):
        graph(**KEYS["aws"])
    del subnets[SUBNETS[1]]
    with pytest.raises(pulumi.RunError, match=f"privateSubnets: {SUBNETS[1]} is not in {VPC}"):
        graph(**KEYS["aws"])


@pytest.mark.parametrize(
    ("simulated", "keys", "message"),
    [
        ("aws", {"vpc": VPC}, "privateSubnets.*must name 2 private subnets"),
        ("aws", {"privateSubnets": SUBNETS}, "privateSubnets.*is only for an existing VPC"),
        ("gcp", {"vpc": GOOGLE}, "subnetwork.*must be set together with vpc"),
        (
            "gcp",
            {"vpc": GOOGLE, "subnetwork": SUBNETWORK.replace("us-central1", "us-east1")},
            "subnetwork.*must be in the stack's region, us-central1",
        ),
        ("digitalocean", {"vpc": "default-fra1"}, "vpc = 'default-fra1'"),
    ],
    indirect=["simulated"],
)
def test_an_incomplete_network_is_refused(graph: Callable[..., Any], keys: dict[str, Any], message: str):
    with pytest.raises(pulumi.RunError, match=message):
        graph(**keys)
