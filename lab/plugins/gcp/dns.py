"""Cloud DNS: a private zone is a zone of the lab's DNS, which all pods ask."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins import zones
from lab.plugins.account import Record
from lab.plugins.gcp.kind import NETWORK, GoogleKind, numeric_id
from lab.plugins.kind import ApiError, values_at
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure
from lab.plugins.rules import Rule, matches, one_of
from lab.plugins.times import milliseconds

HOST = matches(r"(\*\.)?([a-z0-9_]([a-z0-9-]{0,61}[a-z0-9])?\.)+", "a name with its trailing dot, such as example.com.")


class _InDns(GoogleKind):
    """A Cloud DNS resource."""

    module = "dns"
    api = "dns"

    def publish(self, zone: Record, changed: Mapping[str, list[str]] | None = None) -> None:
        """Make the lab's DNS answer for a zone as the account has it, with these changes."""
        known = {**self.records_of(zone), **(changed or {})}
        addresses = {name.rstrip("."): values[0] for name, values in known.items() if values}
        zones.put(self.account.lab, zone.inputs["dnsName"].rstrip("."), addresses)

    def records_of(self, zone: Record) -> dict[str, list[str]]:
        """Return the names and addresses in a zone."""
        return {
            each.inputs["name"]: each.inputs["rrdatas"]
            for each in self.account.records("RecordSet")
            if each.id.startswith(f"{zone.id}/rrsets/") and each.inputs["type"] == "A"
        }


class ManagedZone(_InDns):
    """A private zone. It answers in the whole lab, not only in its networks."""

    title = "DNS zone"
    labelled = "labels"
    rules: ClassVar[Mapping[str, Rule]] = {
        "dnsName": HOST,
        "visibility": one_of("private"),
        "privateVisibilityConfig.networks.networkUrl": NETWORK,
    }
    replaces = ("name", "dnsName", "visibility", "project")
    references: ClassVar[Mapping[str, str]] = {"privateVisibilityConfig.networks.networkUrl": "Network"}

    @override
    def new_id(self, inputs: Properties) -> str:
        return f"projects/{self.project(inputs)}/managedZones/{inputs['name']}"

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        found = super().invalid(inputs)
        if inputs.get("visibility") != "private":
            found.append(Failure("visibility", "must be private: public zones are not simulated."))
        return found

    @override
    def conflicts(self, inputs: Properties, existing: Record) -> bool:
        same_origin = inputs["dnsName"] == existing.inputs["dnsName"]
        return super().conflicts(inputs, existing) or (
            same_origin and bool(_networks(inputs) & _networks(existing.inputs))
        )

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        zones.put(self.account.lab, inputs["dnsName"].rstrip("."), {})
        return {
            "creationTime": milliseconds(),
            "managedZoneId": numeric_id(),
            "nameServers": ["ns-gcp-private.googledomains.com."],
        }

    @override
    def refresh(self, record: Record) -> Properties:
        self.publish(record)
        return {}

    @override
    def delete(self, record: Record) -> None:
        if self.records_of(record) and not record.inputs.get("forceDestroy"):
            raise ApiError("400 the zone still contains records")
        super().delete(record)

    @override
    def discard(self, record: Record) -> None:
        zones.remove(self.account.lab, record.inputs["dnsName"].rstrip("."))


def _networks(inputs: Properties) -> set[str]:
    """Return the networks that see a private zone; each sees one zone of a name."""
    return set(values_at(inputs, "privateVisibilityConfig.networks.networkUrl"))


class RecordSet(_InDns):
    """A name's IPv4 addresses, or another name; the lab's DNS answers with the first address."""

    title = "DNS record"
    rules: ClassVar[Mapping[str, Rule]] = {"name": HOST, "type": one_of("A", "CNAME")}
    replaces = ("name", "managedZone", "project")
    autonamed = False

    @override
    def new_id(self, inputs: Properties) -> str:
        return f"{self._zone_id(inputs)}/rrsets/{inputs['name']}/{inputs['type']}"

    def _zone_id(self, inputs: Properties) -> str:
        return f"projects/{self.project(inputs)}/managedZones/{inputs['managedZone']}"

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        if not inputs.get("rrdatas"):
            return [Failure("rrdatas", "is required: routing policies are not simulated.")]
        found: list[Failure] = []
        if inputs["type"] == "CNAME":
            (only, *others) = inputs["rrdatas"]
            valid = not others and HOST.allows(only)
            return [] if valid else [Failure("rrdatas", f"must be one name with its trailing dot, not {only!r}.")]
        for index, text in enumerate(inputs["rrdatas"]):
            try:
                ipaddress.IPv4Address(text)
            except ValueError:
                found.append(Failure(f"rrdatas[{index}]", f"is {text!r}, and must be an IPv4 address."))
        return found

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        zone = self.existing("ManagedZone", self._zone_id(inputs))
        if not f".{inputs['name']}".endswith(f".{zone.inputs['dnsName']}"):
            raise ApiError(f"400 the name {inputs['name']} is not in the zone {zone.inputs['dnsName']}")
        self.publish(zone)
        return {}

    @override
    def update(self, record: Record, new: Properties) -> Properties:
        changed = {new["name"]: new["rrdatas"]} if new["type"] == "A" else {}
        self.publish(self.existing("ManagedZone", self._zone_id(new)), changed)
        return {}

    @override
    def delete(self, record: Record) -> None:
        super().delete(record)
        zone = self.account.get("ManagedZone", self._zone_id(record.inputs))
        if zone is not None:
            self.publish(zone, {record.inputs["name"]: []} if record.inputs["type"] == "A" else {})
