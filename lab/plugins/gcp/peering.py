"""Private services access: the peering through which managed services are reached; nothing real stands behind it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.gcp.kind import NAME, GoogleKind, numeric_id
from lab.plugins.gcp.network import ComputeKind, range_failures
from lab.plugins.kind import ApiError, values_at
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure
from lab.plugins.rules import Rule, one_of


class GlobalAddress(ComputeKind):
    """Reserved addresses: with purpose VPC_PEERING, the range from which managed services take theirs.

    An external one is for a global load balancer, which the lab does not have.
    """

    title = "global address"
    collection = "addresses"
    labelled = "labels"
    rules: ClassVar[Mapping[str, Rule]] = {
        "purpose": one_of("VPC_PEERING", "PRIVATE_SERVICE_CONNECT"),
        "addressType": one_of("EXTERNAL", "INTERNAL"),
    }
    replaces = (
        "name", "purpose", "addressType", "address", "prefixLength", "ipVersion", "network", "description", "project",
    )  # fmt: skip
    references: ClassVar[Mapping[str, str]] = {"network": "Network"}
    used_by: ClassVar[Mapping[str, str]] = {"Connection": "reservedPeeringRanges"}

    @override
    def referred_to_as(self, record: Record) -> str:
        return record.inputs["name"]

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        found = super().invalid(inputs)
        if inputs.get("purpose") == "VPC_PEERING":
            if not inputs.get("network"):
                found.append(Failure("network", "is required for a range of VPC_PEERING."))
            if inputs.get("addressType") != "INTERNAL":
                found.append(Failure("addressType", "must be INTERNAL for a range of VPC_PEERING."))
            if inputs.get("address") and inputs.get("prefixLength"):
                found += range_failures([("address", f"{inputs['address']}/{inputs['prefixLength']}")])
        elif inputs.get("addressType") != "INTERNAL":
            found += [
                Failure(name, "is for internal addresses only.")
                for name in ("network", "prefixLength")
                if inputs.get(name)
            ]
        return found

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        address = {} if inputs.get("addressType") == "INTERNAL" else {"address": "203.0.113.81"}
        return {**super().create(id, inputs), **address, "labelFingerprint": numeric_id(8)}


class Address(ComputeKind):
    """A reserved address of a region, for a load balancer. The lab's own has another one."""

    title = "address"
    collection = "addresses"
    labelled = "labels"
    rules: ClassVar[Mapping[str, Rule]] = {"addressType": one_of("EXTERNAL")}
    not_simulated = ("purpose", "subnetwork", "network", "ipCollection")
    replaces = ("name", "addressType", "address", "networkTier", "ipVersion", "description", "region", "project")

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        return {**super().create(id, inputs), "address": "203.0.113.80", "users": [], "labelFingerprint": numeric_id(8)}


class Connection(GoogleKind):
    """The peering with the network of Google's managed services."""

    title = "private services connection"
    module = "servicenetworking"
    api = "servicenetworking"
    rules: ClassVar[Mapping[str, Rule]] = {
        "service": one_of("servicenetworking.googleapis.com"),
        "reservedPeeringRanges": NAME,
        "deletionPolicy": one_of("DELETE", "ABANDON", "REMOVE_PEERING", "PREVENT"),
    }
    replaces = ("network", "service")
    references: ClassVar[Mapping[str, str]] = {"network": "Network"}
    autonamed = False

    @override
    def new_id(self, inputs: Properties) -> str:
        return f"{quote(self.plain_id(inputs['network']), safe='')}:{inputs['service']}"

    @override
    def check_dependencies(self, inputs: Properties) -> None:
        super().check_dependencies(inputs)
        network = self.plain_id(inputs["network"])
        for name in inputs["reservedPeeringRanges"]:
            reserved = self.existing("GlobalAddress", f"projects/{self.project(inputs)}/global/addresses/{name}")
            if self.plain_id(reserved.inputs.get("network", "")) != network:
                raise ApiError(f"400 the range {name} is not of the network {network}")

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        """Meet what Google remembers of an earlier connection of a network of this name."""
        remembered = self._remembered(inputs)
        if remembered.exists() and not inputs.get("updateOnCreationFail"):
            raise ApiError("400 Cannot modify allocated ranges in CreateConnection. Please use UpdateConnection.")
        return {"peering": "servicenetworking-googleapis-com"}

    def _remembered(self, inputs: Properties) -> Path:
        return self.account.folder / f"peering-{self.plain_id(inputs['network']).replace('/', '-')}"

    @override
    def delete(self, record: Record) -> None:
        """Refuse as Google does for days after the last server is gone; here always, as the worst case."""
        super().delete(record)
        network = self.plain_id(record.inputs["network"])
        servers = [each.inputs for each in self.account.records("DatabaseInstance")]
        private_networks = map(self.plain_id, values_at(servers, "settings.ipConfiguration.privateNetwork"))
        policy = record.inputs.get("deletionPolicy")
        if network in private_networks or policy not in ("REMOVE_PEERING", "ABANDON"):
            raise ApiError("400 failed to delete connection; producer services are still using this connection")
        self._remembered(record.inputs).touch()
