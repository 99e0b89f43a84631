"""VPC networks and their way out; nothing real is behind them."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.declared import Property
from lab.plugins.gcp.kind import COMPUTE_LINK, GoogleKind, now, numeric_id
from lab.plugins.gcp.rules import (
    DELETION_POLICY,
    DESCRIPTION,
    NAME,
    NETWORK,
    PROJECT,
    RANGE_PATTERN,
    RANGE_RULE,
    REGION,
    SUBNETWORK_PATTERN,
)
from lab.plugins.kind import Refused
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure

RANGE = Property(str, required=True, replaces=True, pattern=RANGE_PATTERN, rule=RANGE_RULE)


class ComputeKind(GoogleKind):
    """A resource of Compute Engine: of a region when it has one, else global."""

    api = "compute"
    collection: ClassVar[str]

    @override
    def identify(self, inputs: Properties) -> str:
        place = f"regions/{inputs['region']}" if "region" in self.properties else "global"
        return f"projects/{self.project(inputs)}/{place}/{self.collection}/{inputs['name']}"

    @override
    def build(self, id: str, inputs: Properties) -> Properties:
        return {"project": self.project(inputs), "selfLink": COMPUTE_LINK + id}

    def network(self, inputs: Properties) -> Record:
        """The network it is in. Raises Refused."""
        return self.existing("Network", inputs["network"].removeprefix(COMPUTE_LINK))


class Network(ComputeKind):
    """A VPC."""

    title = "network"
    module = "compute"
    collection = "networks"
    properties: ClassVar[Mapping[str, Property]] = {
        "name": NAME,
        "description": Property(str, replaces=True, pattern=DESCRIPTION.pattern, rule=DESCRIPTION.rule),
        "autoCreateSubnetworks": Property(bool, replaces=True),
        "routingMode": Property(str, values=frozenset({"REGIONAL", "GLOBAL"})),
        "mtu": Property(int),
        "deleteDefaultRoutesOnCreate": Property(bool, replaces=True),
        "project": PROJECT,
        "deletionPolicy": DELETION_POLICY,
    }
    computed = ("gatewayIpv4", "networkId", "numericId", "project", "selfLink")

    @override
    def build(self, id: str, inputs: Properties) -> Properties:
        number = numeric_id()
        return {**super().build(id, inputs), "gatewayIpv4": "", "networkId": number, "numericId": number}

    @override
    def unmake(self, record: Record) -> None:
        super().unmake(record)
        self.refuse_while_used(
            record, "Subnetwork", "Router", "GlobalAddress", "Connection", "Cluster", "DatabaseInstance"
        )


class Subnetwork(ComputeKind):
    """A range of a network in a region, with named further ranges."""

    title = "subnetwork"
    module = "compute"
    collection = "subnetworks"
    properties: ClassVar[Mapping[str, Property]] = {
        "name": NAME,
        "region": REGION,
        "network": NETWORK,
        "ipCidrRange": RANGE,
        "description": Property(str, replaces=True),
        "secondaryIpRanges": Property(
            list,
            inner={
                "rangeName": Property(str, required=True, pattern=NAME.pattern, rule=NAME.rule),
                "ipCidrRange": Property(str, pattern=RANGE_PATTERN, rule=RANGE_RULE),
            },
        ),
        "privateIpGoogleAccess": Property(bool),
        "stackType": Property(str, values=frozenset({"IPV4_ONLY", "IPV4_IPV6", "IPV6_ONLY"})),
        "project": PROJECT,
        "deletionPolicy": DELETION_POLICY,
    }
    computed = ("creationTimestamp", "fingerprint", "gatewayAddress", "project", "selfLink", "subnetworkId")

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        ranges = [("ipCidrRange", inputs.get("ipCidrRange"))]
        for index, each in enumerate(inputs.get("secondaryIpRanges") or []):
            ranges.append((f"secondaryIpRanges[{index}].ipCidrRange", each.get("ipCidrRange")))
        return range_faults([(path, text) for path, text in ranges if text])

    @override
    def build(self, id: str, inputs: Properties) -> Properties:
        self.network(inputs)
        gateway = ipaddress.IPv4Network(inputs["ipCidrRange"]).network_address + 1
        return {
            **super().build(id, inputs),
            "creationTimestamp": now(),
            "fingerprint": numeric_id(8) + "=",
            "gatewayAddress": str(gateway),
            "subnetworkId": numeric_id(),
        }

    @override
    def unmake(self, record: Record) -> None:
        super().unmake(record)
        self.refuse_while_used(record, "RouterNat", "Cluster")


def range_faults(ranges: list[tuple[str, str]]) -> list[Failure]:
    """Ranges (by property path) that are none, or that overlap an earlier one."""
    found: list[Failure] = []
    known: list[ipaddress.IPv4Network] = []
    for path, text in ranges:
        try:
            network = ipaddress.IPv4Network(text)
        except ValueError as fault:
            found.append(Failure(path, f"is {text!r}, which is no range of addresses: {fault}."))
            continue
        if other := next((each for each in known if each.overlaps(network)), None):
            found.append(Failure(path, f"is {text}, which overlaps {other}."))
        known.append(network)
    return found


class Router(ComputeKind):
    """A Cloud Router, here only to carry a NAT gateway."""

    title = "router"
    module = "compute"
    collection = "routers"
    properties: ClassVar[Mapping[str, Property]] = {
        "name": NAME,
        "region": REGION,
        "network": NETWORK,
        "description": DESCRIPTION,
        "project": PROJECT,
        "deletionPolicy": DELETION_POLICY,
    }
    computed = ("creationTimestamp", "project", "selfLink")

    @override
    def build(self, id: str, inputs: Properties) -> Properties:
        self.network(inputs)
        return {**super().build(id, inputs), "creationTimestamp": now()}

    @override
    def unmake(self, record: Record) -> None:
        super().unmake(record)
        gateways = [each for each in self.account.records() if each.type == "RouterNat"]
        if any(each.inputs["router"] == record.inputs["name"] for each in gateways):
            raise Refused(f"400 the router {record.id!r} still has NAT gateways")


class RouterNat(GoogleKind):
    """A NAT gateway: a part of its router."""

    title = "NAT gateway"
    module = "compute"
    api = "compute"
    properties: ClassVar[Mapping[str, Property]] = {
        "name": NAME,
        "region": REGION,
        "router": Property(str, required=True, replaces=True, pattern=NAME.pattern, rule=NAME.rule),
        "natIpAllocateOption": Property(str, values=frozenset({"AUTO_ONLY", "MANUAL_ONLY"})),
        "sourceSubnetworkIpRangesToNat": Property(
            str,
            required=True,
            values=frozenset(
                {"ALL_SUBNETWORKS_ALL_IP_RANGES", "ALL_SUBNETWORKS_ALL_PRIMARY_IP_RANGES", "LIST_OF_SUBNETWORKS"}
            ),
        ),
        "subnetworks": Property(
            list,
            inner={
                "name": Property(str, required=True, pattern=SUBNETWORK_PATTERN, rule="the id of a subnetwork"),
                "sourceIpRangesToNats": Property(
                    list,
                    required=True,
                    each=str,
                    values=frozenset({"ALL_IP_RANGES", "LIST_OF_SECONDARY_IP_RANGES", "PRIMARY_IP_RANGE"}),
                ),
                "secondaryIpRangeNames": Property(list, each=str),
            },
        ),
        "logConfig": Property(
            dict,
            inner={
                "enable": Property(bool, required=True),
                "filter": Property(str, required=True, values=frozenset({"ERRORS_ONLY", "TRANSLATIONS_ONLY", "ALL"})),
            },
        ),
        "project": PROJECT,
        "deletionPolicy": DELETION_POLICY,
    }
    computed = ("project",)

    @override
    def identify(self, inputs: Properties) -> str:
        return f"{self.project(inputs)}/{inputs['region']}/{inputs['router']}/{inputs['name']}"

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        listed = inputs["sourceSubnetworkIpRangesToNat"] == "LIST_OF_SUBNETWORKS"
        if bool(inputs.get("subnetworks")) != listed:
            return [Failure("subnetworks", "goes with sourceSubnetworkIpRangesToNat LIST_OF_SUBNETWORKS, and only so.")]
        return []

    @override
    def build(self, id: str, inputs: Properties) -> Properties:
        project = self.project(inputs)
        self.existing("Router", f"projects/{project}/regions/{inputs['region']}/routers/{inputs['router']}")
        for each in inputs.get("subnetworks") or []:
            self.existing("Subnetwork", each["name"])
        return {"project": project}
