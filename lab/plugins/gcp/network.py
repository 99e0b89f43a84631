"""VPC networks and their NAT; nothing real stands behind them."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.difference import Path
from lab.plugins.gcp.kind import COMPUTE_LINK, NAME, RANGE, SUBNETWORK, GoogleKind, numeric_id
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure
from lab.plugins.rules import Rule, one_of
from lab.plugins.times import milliseconds


class ComputeKind(GoogleKind):
    """A resource of Compute Engine: regional if it has a region, otherwise global."""

    module = "compute"
    api = "compute"
    collection: ClassVar[str]

    @override
    def new_id(self, inputs: Properties) -> str:
        place = f"regions/{inputs['region']}" if inputs.get("region") else "global"
        return f"projects/{self.project(inputs)}/{place}/{self.collection}/{inputs['name']}"

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        return {"selfLink": COMPUTE_LINK + id, "creationTimestamp": milliseconds()}


class Network(ComputeKind):
    """A VPC."""

    title = "network"
    collection = "networks"
    rules: ClassVar[Mapping[str, Rule]] = {"routingMode": one_of("REGIONAL", "GLOBAL")}
    replaces = ("name", "description", "autoCreateSubnetworks", "project")
    used_by: ClassVar[Mapping[str, str]] = {
        "Subnetwork": "network", "Router": "network", "GlobalAddress": "network", "Connection": "network",
        "Cluster": "network", "DatabaseInstance": "settings.ipConfiguration.privateNetwork",
    }  # fmt: skip

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        number = numeric_id()
        return {"selfLink": COMPUTE_LINK + id, "gatewayIpv4": "", "networkId": number, "numericId": number}


class Subnetwork(ComputeKind):
    """A regional range of a network, with additional named ranges."""

    title = "subnetwork"
    collection = "subnetworks"
    rules: ClassVar[Mapping[str, Rule]] = {
        "ipCidrRange": RANGE,
        "secondaryIpRanges.rangeName": NAME,
        "secondaryIpRanges.ipCidrRange": RANGE,
    }
    required = ("ipCidrRange", "region")
    replaces = ("name", "region", "network", "description", "project")
    references: ClassVar[Mapping[str, str]] = {"network": "Network"}
    used_by: ClassVar[Mapping[str, str]] = {"RouterNat": "subnetworks.name", "Cluster": "subnetwork"}

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        ranges = [("ipCidrRange", inputs.get("ipCidrRange"))]
        for index, each in enumerate(inputs.get("secondaryIpRanges") or []):
            ranges.append((f"secondaryIpRanges[{index}].ipCidrRange", each.get("ipCidrRange")))
        return range_failures([(path, text) for path, text in ranges if text])

    @override
    def replacing(self, old: Properties, new: Properties) -> set[Path]:
        """A range grows in place (resource_compute_subnetwork.go, IsShrinkageIpCidr)."""
        before, after = (ipaddress.IPv4Network(each["ipCidrRange"], strict=False) for each in (old, new))
        return set() if before.subnet_of(after) else {("ipCidrRange",)}

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        return {
            **super().create(id, inputs),
            "fingerprint": numeric_id(8) + "=",
            "gatewayAddress": str(ipaddress.IPv4Network(inputs["ipCidrRange"])[1]),
            "subnetworkId": numeric_id(),
        }


def range_failures(ranges: list[tuple[str, str]]) -> list[Failure]:
    """Return ranges, by property path, that are invalid or overlap an earlier one."""
    found: list[Failure] = []
    known: list[ipaddress.IPv4Network] = []
    for path, text in ranges:
        try:
            network = ipaddress.IPv4Network(text)
        except ValueError as error:
            found.append(Failure(path, f"is {text!r}, which is not a range of addresses: {error}."))
            continue
        if other := next((each for each in known if each.overlaps(network)), None):
            found.append(Failure(path, f"is {text}, which overlaps {other}."))
        known.append(network)
    return found


class Router(ComputeKind):
    """A Cloud Router, which only carries a NAT gateway here."""

    title = "router"
    collection = "routers"
    required = ("network", "region")
    replaces = ("name", "region", "network", "project")
    references: ClassVar[Mapping[str, str]] = {"network": "Network"}
    used_by: ClassVar[Mapping[str, str]] = {"RouterNat": "router"}

    @override
    def referred_to_as(self, record: Record) -> str:
        return record.inputs["name"]


class RouterNat(GoogleKind):
    """A NAT gateway, which is a part of its router."""

    title = "NAT gateway"
    module = "compute"
    api = "compute"
    rules: ClassVar[Mapping[str, Rule]] = {
        "router": NAME,
        "natIpAllocateOption": one_of("AUTO_ONLY", "MANUAL_ONLY"),
        "sourceSubnetworkIpRangesToNat": one_of(
            "ALL_SUBNETWORKS_ALL_IP_RANGES", "ALL_SUBNETWORKS_ALL_PRIMARY_IP_RANGES", "LIST_OF_SUBNETWORKS"
        ),
        "subnetworks.name": SUBNETWORK,
        "subnetworks.sourceIpRangesToNats": one_of("ALL_IP_RANGES", "LIST_OF_SECONDARY_IP_RANGES", "PRIMARY_IP_RANGE"),
        "logConfig.filter": one_of("ERRORS_ONLY", "TRANSLATIONS_ONLY", "ALL"),
    }
    required = ("region",)
    replaces = ("name", "region", "router", "project")
    references: ClassVar[Mapping[str, str]] = {"subnetworks.name": "Subnetwork"}

    @override
    def new_id(self, inputs: Properties) -> str:
        return f"{self.project(inputs)}/{inputs['region']}/{inputs['router']}/{inputs['name']}"

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        listed = inputs["sourceSubnetworkIpRangesToNat"] == "LIST_OF_SUBNETWORKS"
        if bool(inputs.get("subnetworks")) != listed:
            reason = "must be given with sourceSubnetworkIpRangesToNat LIST_OF_SUBNETWORKS, and only then."
            return [Failure("subnetworks", reason)]
        return []

    @override
    def check_dependencies(self, inputs: Properties) -> None:
        super().check_dependencies(inputs)
        region = f"projects/{self.project(inputs)}/regions/{inputs['region']}"
        self.existing("Router", f"{region}/routers/{inputs['router']}")
