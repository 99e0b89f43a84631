"""What a database instance is made with: its subnets and its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.aws import doors
from lab.plugins.aws.kind import REGION, TAGS, AwsKind
from lab.plugins.declared import Property
from lab.plugins.kind import Refused
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure

FEWEST_ZONES = 2
#: Parameters that take effect when the server starts, so can't be applied at once (PostgreSQL: postmaster context).
STATIC = frozenset(["max_connections", "shared_buffers", "shared_preload_libraries", "wal_buffers", "huge_pages"])
#: RDS's own, of which the simulation plays the first.
OF_RDS = frozenset([doors.FORCE_TLS, "rds.logical_replication", "rds.log_retention_period"])


class SubnetGroup(AwsKind):
    """Subnets that database instances may be in."""

    module = "rds"
    service = "rds"
    title = "DB subnet group"
    autonamed = True
    unique_name = True
    properties: ClassVar[Mapping[str, Property]] = {
        "name": Property(
            str, replaces=True, pattern=r"(?!default$)[a-z0-9._ -]{1,255}", rule="lower-case letters, digits and ._ -"
        ),
        "description": Property(str),
        "subnetIds": Property(list, required=True, each=str),
        "region": REGION,
        "tags": TAGS,
    }
    computed = ("arn", "description", "supportedNetworkTypes", "vpcId")

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        return {
            "arn": self.arn(inputs, f"subgrp:{id}"),
            "description": inputs.get("description", "Managed by Pulumi"),
            "supportedNetworkTypes": ["IPV4"],
            "vpcId": self._network(inputs),
        }

    @override
    def change(self, record: Record, new: Properties) -> Properties:
        return {"vpcId": self._network(new)}

    def _network(self, inputs: Properties) -> str:
        covered = self.zones_of(inputs["subnetIds"])
        if len(covered) < FEWEST_ZONES:
            raise Refused(
                "400 DBSubnetGroupDoesNotCoverEnoughAZs: the subnets are in one availability zone"
                f" ({', '.join(covered)}); add subnets to cover two"
            )
        return self.network_of(inputs["subnetIds"])

    @override
    def unmake(self, record: Record) -> None:
        users = self.others("Instance", dbSubnetGroupName=record.id)
        if users:
            raise Refused(
                f"400 InvalidDBSubnetGroupStateFault: cannot delete the subnet group {record.id}, because the database"
                f" instance {users[0].inputs['identifier']} is still using it"
            )


class ParameterGroup(AwsKind):
    """Settings of database servers."""

    module = "rds"
    service = "rds"
    title = "DB parameter group"
    autonamed = True
    unique_name = True
    properties: ClassVar[Mapping[str, Property]] = {
        "name": Property(
            str, replaces=True, pattern=r"(?!.*--)[a-z]([a-z0-9-]{0,253}[a-z0-9])?",
            rule="lower-case letters, digits and single dashes, the first a letter, the last none",
        ),
        "family": Property(str, required=True, replaces=True, pattern=r"postgres[0-9]{2}", rule="such as postgres16"),
        "description": Property(str, replaces=True),
        "parameters": Property(
            list,
            inner={
                "name": Property(str, required=True),
                "value": Property(str, required=True),
                "applyMethod": Property(str, values=frozenset({"immediate", "pending-reboot"})),
            },
        ),
        "skipDestroy": Property(bool),
        "region": REGION,
        "tags": TAGS,
    }  # fmt: skip
    computed = ("arn", "description")

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        found = super().invalid(inputs)
        for index, each in enumerate(inputs.get("parameters") or []):
            where = f"parameters[{index}]"
            if each["name"].startswith("rds.") and each["name"] not in OF_RDS:
                found.append(Failure(f"{where}.name", f"is {each['name']}, which this simulation does not know."))
            if each["name"] in STATIC and each.get("applyMethod", "immediate") == "immediate":
                found.append(Failure(f"{where}.applyMethod", f"can't be immediate: {each['name']} is static."))
            if each["name"] == doors.FORCE_TLS and each["value"] not in ("0", "1"):
                found.append(Failure(f"{where}.value", f"is {each['value']!r}, and must be 0 or 1."))
        return found

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        return {"arn": self.arn(inputs, f"pg:{id}"), "description": inputs.get("description", "Managed by Pulumi")}

    @override
    def change(self, record: Record, new: Properties) -> Properties:
        record.inputs = new
        self.account.put(record)
        doors.set_all(self.account)
        return {}

    @override
    def unmake(self, record: Record) -> None:
        if users := self.others("Instance", parameterGroupName=record.id):
            raise Refused(
                f"400 InvalidDBParameterGroupState: one or more database instances are still members of {record.id}:"
                f" {users[0].inputs['identifier']}"
            )
