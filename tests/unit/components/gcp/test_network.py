"""The VPC of a stack on Google Cloud."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network
from itertools import combinations
from typing import Any

from tests.unit.components.gcp.simulated import google


def test_nothing_is_public_but_the_api_server_and_the_load_balancer(graph: Callable[..., Any]):
    made = graph()
    network = google(made, "Network")
    assert network.inputs["autoCreateSubnetworks"] is False
    cluster = google(made, "Cluster").inputs
    assert cluster["privateClusterConfig"]["enablePrivateNodes"] is True
    address = google(made, "DatabaseInstance").inputs["settings"]["ipConfiguration"]
    assert address["ipv4Enabled"] is False
    assert address["privateNetwork"] == cluster["network"] == "network-id"
    subnetwork = google(made, "Subnetwork").inputs
    assert subnetwork["privateIpGoogleAccess"] is True
    ranges = {each["rangeName"] for each in subnetwork["secondaryIpRanges"]}
    policy = cluster["ipAllocationPolicy"]
    assert {policy["clusterSecondaryRangeName"], policy["servicesSecondaryRangeName"]} == ranges
    assert "cloud.google.com/l4-rbs" in made.one("Service", "addressbook-lb").inputs["metadata"]["annotations"]


def test_ranges_are_apart_and_fit_the_network(graph: Callable[..., Any]):
    made = graph(networkRange="10.80.0.0/16")
    subnetwork, reserved = google(made, "Subnetwork").inputs, google(made, "GlobalAddress").inputs
    ranges = [
        subnetwork["ipCidrRange"],
        *(each["ipCidrRange"] for each in subnetwork["secondaryIpRanges"]),
        f"{reserved['address']}/{int(reserved['prefixLength'])}",
    ]
    networks = [IPv4Network(each) for each in ranges]
    assert all(each.subnet_of(IPv4Network("10.80.0.0/16")) for each in networks)
    assert not any(a.overlaps(b) for a, b in combinations(networks, 2)), ranges
