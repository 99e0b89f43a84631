"""The VPC of a stack on Google Cloud."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network
from itertools import combinations
from typing import Any

from tests.unit.components.gcp.simulated import google


def test_ranges_do_not_overlap_and_fit_the_network(graph: Callable[..., Any]):
    stack = graph(networkRange="10.80.0.0/16")
    subnetwork, reserved = google(stack, "Subnetwork").inputs, google(stack, "GlobalAddress").inputs
    ranges = [
        subnetwork["ipCidrRange"],
        *(each["ipCidrRange"] for each in subnetwork["secondaryIpRanges"]),
        f"{reserved['address']}/{int(reserved['prefixLength'])}",
    ]
    networks = [IPv4Network(each) for each in ranges]
    assert all(each.subnet_of(IPv4Network("10.80.0.0/16")) for each in networks)
    assert not any(a.overlaps(b) for a, b in combinations(networks, 2)), ranges
