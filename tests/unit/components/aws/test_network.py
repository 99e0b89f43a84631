"""The VPC of an AWS stack."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from components.aws.network import subnet_ranges
from tests.unit.components.aws.simulated import ZONES


@pytest.mark.parametrize("block", ["10.64.0.0/16", "192.168.0.0/16", "172.16.16.0/20"])
def test_subnets_share_the_network_without_overlap(block: str):
    ranges = subnet_ranges(block)
    parts = [ipaddress.IPv4Network(each) for each in (*ranges.public, *ranges.private)]
    assert all(part.subnet_of(ipaddress.IPv4Network(block)) for part in parts)
    assert not any(one.overlaps(other) for at, one in enumerate(parts) for other in parts[at + 1 :])
    assert all(part.prefixlen <= 28 for part in parts), "smaller than AWS allows"


def test_image_layers_need_no_nat_gateway(graph: Callable[..., Any]):
    stack = graph()
    endpoint = stack.one("VpcEndpoint").inputs
    assert (endpoint["serviceName"], endpoint["vpcEndpointType"]) == ("com.amazonaws.eu-central-1.s3", "Gateway")
    assert endpoint["routeTableIds"] == ["private-1-id", "private-2-id"], "nodes pull ECR's layers from S3"


def test_a_region_without_two_zones_is_refused(graph: Callable[..., Any], cloud: Any):
    answer = cloud.functions[ZONES]
    cloud.functions[ZONES] = lambda args: {**answer(args), "names": ["eu-central-1b"]}
    with pytest.raises(pulumi.RunError, match=r"need 2 zones.* region eu-central-1 offers this account eu-central-1b;"):
        graph()
