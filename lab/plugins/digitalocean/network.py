"""VPCs."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.declared import Property
from lab.plugins.digitalocean.slugs import REGION
from lab.plugins.digitalocean.times import now
from lab.plugins.kind import Kind, Refused
from lab.plugins.properties import Properties

FIRST_RANGE = ipaddress.IPv4Network("10.114.0.0/20")  # where the real API begins, too


class Vpc(Kind):
    """A private network; nothing real is behind it."""

    title = "VPC"
    properties: ClassVar[Mapping[str, Property]] = {
        "region": REGION,
        "name": Property(str, pattern=r"[A-Za-z0-9.-]{1,255}", rule="letters, digits, dashes and periods"),
        "description": Property(str, pattern=r"(?s).{0,255}", rule="255 characters at most"),
        "ipRange": Property(str, replaces=True, pattern=r"[0-9.]+/(1[6-9]|2[0-8])", rule="a private range, /16 to /28"),
    }
    computed = ("createdAt", "default", "ipRange", "vpcUrn")

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        number = sum(record.type == "Vpc" for record in self.account.records()) - 1
        addresses = ipaddress.IPv4Network((int(FIRST_RANGE.network_address) + (number << 12), 20))
        return {
            "createdAt": now(),
            "default": False,
            "ipRange": inputs.get("ipRange") or str(addresses),
            "vpcUrn": f"do:vpc:{id}",
        }

    @override
    def unmake(self, record: Record) -> None:
        members = [
            f"{each.type} {each.inputs.get('name')}"
            for each in self.account.records()
            if record.id in (each.inputs.get("vpcUuid"), each.inputs.get("privateNetworkUuid"))
        ]
        if members:
            raise Refused(f"403 it still has members: {', '.join(members)}")
