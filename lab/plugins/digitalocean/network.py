"""VPCs."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Record, injected_fault
from lab.plugins.digitalocean.kind import DigitalOceanKind
from lab.plugins.kind import ApiError
from lab.plugins.properties import Properties
from lab.plugins.rules import Rule, at_most, matches, one_of
from lab.plugins.times import go_time

FIRST_RANGE = ipaddress.IPv4Network("10.114.0.0/20")  # the first that the real API assigns
# The SDK's enumeration Region; it declares a VPC's region as any string.
REGIONS = one_of(
    "nyc1", "nyc2", "nyc3", "sgp1", "lon1", "ams2", "ams3", "fra1", "tor1", "sfo1", "sfo2", "sfo3", "blr1", "syd1"
)


class Vpc(DigitalOceanKind):
    """A private network; nothing real stands behind it."""

    title = "VPC"
    rules: ClassVar[Mapping[str, Rule]] = {
        "region": REGIONS,
        "name": matches(r"[A-Za-z0-9.-]{1,255}", "letters, digits, dashes and periods"),
        "description": at_most(255),
        "ipRange": matches(r"[0-9.]+/(1[6-9]|2[0-8])", "a private range, /16 to /28"),
    }
    replaces = ("region", "ipRange")
    filled_in = ("ipRange",)
    used_by: ClassVar[Mapping[str, str]] = {"KubernetesCluster": "vpcUuid", "DatabaseCluster": "privateNetworkUuid"}
    in_use = "403 the VPC still has members: {users}"

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        number = len(self.account.records(self.type)) - 1
        addresses = ipaddress.IPv4Network((int(FIRST_RANGE.network_address) + (number << 12), 20))
        return {
            "createdAt": go_time(),
            "default": injected_fault(self.type) == "default",
            "ipRange": inputs.get("ipRange") or str(addresses),
            "vpcUrn": f"do:vpc:{id}",
        }

    @override
    def delete(self, record: Record) -> None:
        if record.outputs.get("default"):
            raise ApiError("403 Can not delete default VPCs")
        super().delete(record)
