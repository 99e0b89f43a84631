"""What a database instance needs: subnets and parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.aws import database_access
from lab.plugins.aws.kind import AwsKind
from lab.plugins.kind import ApiError
from lab.plugins.properties import Properties, Value
from lab.plugins.provider import Failure
from lab.plugins.rules import Rule, matches, one_of

MINIMUM_ZONES = 2
#: Parameters that only apply when the server starts (PostgreSQL: postmaster context).
STATIC = frozenset(["max_connections", "shared_buffers", "shared_preload_libraries", "wal_buffers", "huge_pages"])
#: RDS's own parameters; only the first has an effect here.
OF_RDS = frozenset([database_access.FORCE_TLS, "rds.logical_replication", "rds.log_retention_period"])
DESCRIBED: Mapping[str, Value] = {"description": "Managed by Pulumi"}


class SubnetGroup(AwsKind):
    """Subnets for database instances."""

    module = "rds"
    title = "DB subnet group"
    arn = "rds:subgrp:{id}"
    autonamed = True
    unique_name = True
    rules: ClassVar[Mapping[str, Rule]] = {
        "name": matches(r"(?!default$)[a-z0-9._ -]{1,255}", "lower-case letters, digits and ._ -")
    }
    replaces = ("name", "region")
    defaults = DESCRIBED
    used_by: ClassVar[Mapping[str, str]] = {"Instance": "dbSubnetGroupName"}
    in_use = (
        "400 InvalidDBSubnetGroupStateFault: cannot delete the subnet group {id}, because the database instance {users}"
        " is still using it"
    )

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        return {**super().create(id, inputs), "supportedNetworkTypes": ["IPV4"], "vpcId": self._network(inputs)}

    @override
    def update(self, record: Record, new: Properties) -> Properties:
        return {"vpcId": self._network(new)}

    def _network(self, inputs: Properties) -> str:
        covered = self.zones_of(inputs["subnetIds"])
        if len(covered) < MINIMUM_ZONES:
            raise ApiError(
                "400 DBSubnetGroupDoesNotCoverEnoughAZs: the subnets are in one availability zone"
                f" ({', '.join(covered)}); add subnets to cover two"
            )
        return self.network_of(inputs["subnetIds"])


class ParameterGroup(AwsKind):
    """Settings of database servers."""

    module = "rds"
    title = "DB parameter group"
    arn = "rds:pg:{id}"
    autonamed = True
    unique_name = True
    rules: ClassVar[Mapping[str, Rule]] = {
        "name": matches(
            r"(?!.*--)[a-z]([a-z0-9-]{0,253}[a-z0-9])?",
            "lower-case letters, digits and single dashes, starting with a letter, not ending with a dash",
        ),
        "family": matches(r"postgres[0-9]{2}", "such as postgres16"),
        "parameters.applyMethod": one_of("immediate", "pending-reboot"),
    }
    replaces = ("name", "family", "description", "region")
    defaults = DESCRIBED
    used_by: ClassVar[Mapping[str, str]] = {"Instance": "parameterGroupName"}
    in_use = "400 InvalidDBParameterGroupState: database instances are still members of {id}: {users}"

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        found = super().invalid(inputs)
        for index, each in enumerate(inputs.get("parameters") or []):
            path, name = f"parameters[{index}]", each["name"]
            if name.startswith("rds.") and name not in OF_RDS:
                found.append(Failure(f"{path}.name", f"is {name}, which is not simulated."))
            if name in STATIC and each.get("applyMethod", "immediate") == "immediate":
                found.append(Failure(f"{path}.applyMethod", f"can't be immediate: {name} is static."))
            if name == database_access.FORCE_TLS and each["value"] not in ("0", "1"):
                found.append(Failure(f"{path}.value", f"is {each['value']!r}, and must be 0 or 1."))
        return found

    @override
    def update(self, record: Record, new: Properties) -> Properties:
        database_access.apply_change(self.account, record, new)
        return {}
