"""Private services access: the peering that managed services are reached by; nothing real is behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import quote

from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.declared import Property
from lab.plugins.gcp.kind import COMPUTE_LINK, LABEL_OUTPUTS, GoogleKind, now, numeric_id
from lab.plugins.gcp.network import ComputeKind, range_faults
from lab.plugins.gcp.rules import DELETION_POLICY, LABELS, NAME, NETWORK, PROJECT
from lab.plugins.kind import Refused
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure

PRODUCER = "servicenetworking.googleapis.com"


class GlobalAddress(ComputeKind):
    """Addresses set aside; for VPC_PEERING a range that managed services get theirs from."""

    title = "global address"
    module = "compute"
    collection = "addresses"
    labelled = "labels"
    properties: ClassVar[Mapping[str, Property]] = {
        "name": NAME,
        "purpose": Property(str, replaces=True, values=frozenset({"VPC_PEERING", "PRIVATE_SERVICE_CONNECT"})),
        "addressType": Property(str, replaces=True, values=frozenset({"EXTERNAL", "INTERNAL"})),
        "address": Property(str, replaces=True),
        "prefixLength": Property(int, replaces=True),
        "ipVersion": Property(str, replaces=True, values=frozenset({"IPV4", "IPV6"})),
        "network": Property(str, replaces=True, pattern=NETWORK.pattern, rule=NETWORK.rule),
        "description": Property(str, replaces=True),
        "labels": LABELS,
        "project": PROJECT,
        "deletionPolicy": DELETION_POLICY,
    }
    computed = ("creationTimestamp", "labelFingerprint", "project", "selfLink", *LABEL_OUTPUTS)
    secret = frozenset(LABEL_OUTPUTS)

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        found = super().invalid(inputs)
        if inputs.get("purpose") == "VPC_PEERING":
            if not inputs.get("network"):
                found.append(Failure("network", "is required for a range of VPC_PEERING."))
            if inputs.get("addressType") != "INTERNAL":
                found.append(Failure("addressType", "must be INTERNAL for a range of VPC_PEERING."))
            if inputs.get("address") and inputs.get("prefixLength"):
                found += range_faults([("address", f"{inputs['address']}/{inputs['prefixLength']}")])
        return found

    @override
    def build(self, id: str, inputs: Properties) -> Properties:
        if inputs.get("network"):
            self.network(inputs)
        return {**super().build(id, inputs), "creationTimestamp": now(), "labelFingerprint": numeric_id(8)}

    @override
    def unmake(self, record: Record) -> None:
        super().unmake(record)
        for each in self.account.records():
            if each.type == "Connection" and record.inputs["name"] in each.inputs["reservedPeeringRanges"]:
                raise Refused(f"400 the address {record.id!r} is already being used by {each.id}")


class Connection(GoogleKind):
    """Private services access: the peering with the network of Google's managed services."""

    title = "private services connection"
    module = "servicenetworking"
    api = "servicenetworking"
    properties: ClassVar[Mapping[str, Property]] = {
        "network": NETWORK,
        "service": Property(str, required=True, replaces=True, values=frozenset({PRODUCER})),
        "reservedPeeringRanges": Property(list, required=True, each=str, pattern=NAME.pattern, rule=NAME.rule),
        "deletionPolicy": Property(str, values=frozenset({"DELETE", "ABANDON", "REMOVE_PEERING", "PREVENT"})),
        "updateOnCreationFail": Property(bool),
    }
    computed = ("peering",)
    autonamed = False
    held_on = "400 failed to delete connection; producer services (for one, Cloud SQL) are still using this connection"

    @override
    def identify(self, inputs: Properties) -> str:
        return f"{quote(inputs['network'].removeprefix(COMPUTE_LINK), safe='')}:{inputs['service']}"

    @override
    def build(self, id: str, inputs: Properties) -> Properties:
        network = self.existing("Network", inputs["network"].removeprefix(COMPUTE_LINK))
        for name in inputs["reservedPeeringRanges"]:
            reserved = self.existing("GlobalAddress", f"projects/{self.project(inputs)}/global/addresses/{name}")
            if reserved.inputs.get("network", "").removeprefix(COMPUTE_LINK) != network.id:
                raise Refused(f"400 the range {name} is not of the network {network.id}")
        return {"peering": "servicenetworking-googleapis-com"}

    @override
    def unmake(self, record: Record) -> None:
        """The producer's side holds on for days after its last server has gone: played always, as the worst case."""
        super().unmake(record)
        policy = record.inputs.get("deletionPolicy")
        network = record.inputs["network"].removeprefix(COMPUTE_LINK)
        servers = [each for each in self.account.records() if each.type == "DatabaseInstance"]
        used = any(network == each.inputs["settings"]["ipConfiguration"].get("privateNetwork") for each in servers)
        if used or policy not in ("REMOVE_PEERING", "ABANDON"):
            raise Refused(self.held_on)
