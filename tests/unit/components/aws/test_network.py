"""The VPC of an AWS stack."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from components.aws.network import subnet_ranges
from tests.unit.components.aws.simulated import EKS, ZONES

PREFIX = "service.beta.kubernetes.io/aws-load-balancer-"
#: Settings of the controller that EKS runs, by the ends of their annotations (cloud-provider-aws, service_controller.md
#: and aws.go).
KNOWN = {
    *("type", "internal", "subnets", "eip-allocations", "proxy-protocol", "backend-protocol"),
    *("additional-resource-tags", "extra-security-groups", "security-groups", "target-node-labels"),
    *("cross-zone-load-balancing-enabled", "connection-draining-enabled", "connection-draining-timeout"),
    *("connection-idle-timeout", "ssl-cert", "ssl-ports", "ssl-negotiation-policy", "access-log-enabled"),
    *("access-log-emit-interval", "access-log-s3-bucket-name", "access-log-s3-bucket-prefix"),
    *("healthcheck-protocol", "healthcheck-port", "healthcheck-path", "healthcheck-interval", "healthcheck-timeout"),
    *("healthcheck-healthy-threshold", "healthcheck-unhealthy-threshold"),
    "scheme",  # for the controllers that an existing cluster may have; this one ignores it
}


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


def test_the_load_balancer_finds_its_subnets(graph: Callable[..., Any]):
    """The controller takes one public subnet a zone, by the tags of role and cluster, and ignores unknown settings."""
    stack = graph()
    cluster = stack.one(EKS).inputs["name"]
    found = [
        each.inputs
        for each in stack.all("Subnet")
        if each.inputs["tags"].get("kubernetes.io/role/elb") in ("1", "")
        and each.inputs["tags"].get(f"kubernetes.io/cluster/{cluster}") in ("owned", "shared")
    ]
    assert len(found) == len({each["availabilityZone"] for each in found}) == 2
    public = {each.inputs["subnetId"] for each in stack.all("RouteTableAssociation") if "public" in each.name}
    assert public == {"public-1-id", "public-2-id"}
    assert all(each["cidrBlock"] in subnet_ranges("10.64.0.0/16").public for each in found)
    annotations = stack.one("Service", "addressbook-lb").inputs["metadata"]["annotations"]
    settings = {each.removeprefix(PREFIX) for each in annotations if each.startswith(PREFIX)}
    assert settings <= KNOWN, "the controller would ignore the others"


def test_a_region_without_two_zones_is_refused(graph: Callable[..., Any], cloud: Any):
    answer = cloud.functions[ZONES]
    cloud.functions[ZONES] = lambda args: {**answer(args), "names": ["eu-central-1b"]}
    with pytest.raises(pulumi.RunError, match=r"need 2 zones.* region eu-central-1 offers this account eu-central-1b;"):
        graph()
