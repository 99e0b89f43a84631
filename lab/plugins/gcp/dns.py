"""Cloud DNS: a private zone is a zone of the lab's DNS, which all pods ask."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins import zones
from lab.plugins.account import Record
from lab.plugins.declared import Property
from lab.plugins.gcp.kind import COMPUTE_LINK, LABEL_OUTPUTS, GoogleKind, now, numeric_id
from lab.plugins.gcp.rules import DELETION_POLICY, DESCRIPTION, LABELS, NETWORK, PROJECT
from lab.plugins.gcp.rules import NAME as ZONE_NAME
from lab.plugins.kind import Refused
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure

HOST = r"(\*\.)?([a-z0-9_]([a-z0-9-]{0,61}[a-z0-9])?\.)+"
HOST_RULE = "a name with its last dot, such as example.com."


class ManagedZone(GoogleKind):
    """A private zone; it answers in the whole lab, not in its networks only."""

    title = "DNS zone"
    module = "dns"
    api = "dns"
    labelled = "labels"
    properties: ClassVar[Mapping[str, Property]] = {
        "name": ZONE_NAME,
        "dnsName": Property(str, required=True, replaces=True, pattern=HOST, rule=HOST_RULE),
        "description": DESCRIPTION,
        "visibility": Property(str, replaces=True, values=frozenset({"private"})),
        "privateVisibilityConfig": Property(
            dict, inner={"networks": Property(list, required=True, inner={"networkUrl": NETWORK})}
        ),
        "labels": LABELS,
        "forceDestroy": Property(bool),
        "project": PROJECT,
        "deletionPolicy": DELETION_POLICY,
    }
    computed = ("creationTime", "managedZoneId", "nameServers", "project", *LABEL_OUTPUTS)
    secret = frozenset(LABEL_OUTPUTS)

    @override
    def identify(self, inputs: Properties) -> str:
        return f"projects/{self.project(inputs)}/managedZones/{inputs['name']}"

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        found = super().invalid(inputs)
        if inputs.get("visibility") != "private":
            found.append(Failure("visibility", "must be private: public zones are not simulated."))
        return found

    @override
    def build(self, id: str, inputs: Properties) -> Properties:
        for each in (inputs.get("privateVisibilityConfig") or {}).get("networks") or []:
            self.existing("Network", each["networkUrl"].removeprefix(COMPUTE_LINK))
        zones.put(self.account.lab, inputs["dnsName"].rstrip("."), {})
        return {
            "creationTime": now(),
            "managedZoneId": numeric_id(),
            "nameServers": ["ns-gcp-private.googledomains.com."],
            "project": self.project(inputs),
        }

    @override
    def look(self, record: Record) -> Properties:
        publish(self, record)
        return {}

    @override
    def unmake(self, record: Record) -> None:
        super().unmake(record)
        if records_of(self, record) and not record.inputs.get("forceDestroy"):
            raise Refused("400 the zone holds records still")
        zones.remove(self.account.lab, record.inputs["dnsName"].rstrip("."))


class RecordSet(GoogleKind):
    """IPv4 addresses of a name; the first of them is what the lab's DNS answers."""

    title = "DNS record"
    module = "dns"
    api = "dns"
    properties: ClassVar[Mapping[str, Property]] = {
        "name": Property(str, required=True, replaces=True, pattern=HOST, rule=HOST_RULE),
        "managedZone": Property(str, required=True, replaces=True),
        "type": Property(str, required=True, values=frozenset({"A"})),
        "ttl": Property(int),
        "rrdatas": Property(list, each=str),
        "project": PROJECT,
        "deletionPolicy": DELETION_POLICY,
    }
    computed = ("project",)
    autonamed = False

    @override
    def identify(self, inputs: Properties) -> str:
        return f"{self._zone_id(inputs)}/rrsets/{inputs['name']}/{inputs['type']}"

    def _zone_id(self, inputs: Properties) -> str:
        return f"projects/{self.project(inputs)}/managedZones/{inputs['managedZone']}"

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        if not inputs.get("rrdatas"):
            return [Failure("rrdatas", "is required: routing policies are not simulated.")]
        found: list[Failure] = []
        for index, text in enumerate(inputs["rrdatas"]):
            try:
                ipaddress.IPv4Address(text)
            except ValueError:
                found.append(Failure(f"rrdatas[{index}]", f"is {text!r}, and must be an IPv4 address."))
        return found

    @override
    def build(self, id: str, inputs: Properties) -> Properties:
        zone = self.existing("ManagedZone", self._zone_id(inputs))
        if not f".{inputs['name']}".endswith(f".{zone.inputs['dnsName']}"):
            raise Refused(f"400 the name {inputs['name']} is not in the zone {zone.inputs['dnsName']}")
        publish(self, zone)
        return {"project": self.project(inputs)}

    @override
    def change(self, record: Record, new: Properties) -> Properties:
        publish(self, self.existing("ManagedZone", self._zone_id(new)), {new["name"]: new["rrdatas"]})
        return {}

    @override
    def unmake(self, record: Record) -> None:
        super().unmake(record)
        zone = self.account.get("ManagedZone", self._zone_id(record.inputs))
        if zone is not None:
            publish(self, zone, {record.inputs["name"]: []})


def records_of(kind: GoogleKind, zone: Record) -> dict[str, list[str]]:
    """Names and addresses that the account has in a zone."""
    return {
        each.inputs["name"]: each.inputs["rrdatas"]
        for each in kind.account.records()
        if each.type == "RecordSet" and each.id.startswith(f"{zone.id}/rrsets/")
    }


def publish(kind: GoogleKind, zone: Record, changed: Mapping[str, list[str]] | None = None) -> None:
    """Have the lab's DNS answer for a zone as the account has it, with these changes."""
    known = {**records_of(kind, zone), **(changed or {})}
    addresses = {name.rstrip("."): found[0] for name, found in known.items() if found}
    zones.put(kind.account.lab, zone.inputs["dnsName"].rstrip("."), addresses)
