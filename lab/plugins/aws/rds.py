"""RDS for PostgreSQL: a real server for each instance, with TLS, a master user's rights, and the access rules."""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins import zones
from lab.plugins.account import Record
from lab.plugins.aws import database_access, rds_backups
from lab.plugins.aws.kind import AwsKind
from lab.plugins.aws.logs import RDS_LOG, note_late_logs
from lab.plugins.aws.security_groups import network_of_group
from lab.plugins.aws.versions import DEFAULT_POSTGRES, actual, offered, targets
from lab.plugins.backups import Backup, Backups
from lab.plugins.database import DatabaseServer, refusing
from lab.plugins.kind import ApiError
from lab.plugins.postgres import Server, quoted
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure
from lab.plugins.rules import Rule, between, matches, one_of

DAY = "(mon|tue|wed|thu|fri|sat|sun)"
TIME = "([01][0-9]|2[0-3]):[0-5][0-9]"
PASSWORD = re.compile(r"""[!-~]{8,128}""")
RESERVED_USERS = frozenset({"admin", database_access.SUPERUSER, "rdsrepladmin", "public"})
MINIMUM_GIB = {"gp2": 20, "gp3": 20, "io1": 100, "io2": 100, "standard": 10}
MAXIMUM_GIB = 65536
MINIMUM_WINDOW_MINUTES = 30
LOGS = "enabledCloudwatchLogsExports"


class Instance(DatabaseServer, AwsKind):
    """One PostgreSQL server, with or without a standby."""

    module = "rds"
    title = "DB instance"
    name_property = "identifier"
    autonamed = True
    unique_name = True
    arn = "rds:db:{identifier}"
    failure = database_access.FAILURE
    address_output = database_access.ADDRESS
    rules: ClassVar[Mapping[str, Rule]] = {
        "identifier": matches(
            r"(?!.*--)[a-z]([a-z0-9-]{0,61}[a-z0-9])?", "at most 63 lower-case letters, digits and single dashes"
        ),
        "engine": one_of("postgres"),
        "engineVersion": matches(r"1[1-9](\.[0-9]+)?", "a version of PostgreSQL, such as 16"),
        "instanceClass": matches(r"db\.[a-z][a-z0-9-]*\.[a-z0-9]+", "an instance class (db.t4g.micro)"),
        "username": matches("[A-Za-z][A-Za-z0-9_]{0,62}", "letters, digits and underscores"),
        "port": between(1150, 65535),
        "storageType": one_of(*MINIMUM_GIB),
        "caCertIdentifier": one_of("rds-ca-rsa2048-g1", "rds-ca-rsa4096-g1", "rds-ca-ecc384-g1"),
        "backupRetentionPeriod": between(0, 35),
        "backupWindow": matches(f"{TIME}-{TIME}", "a window, HH:MM-HH:MM"),
        "maintenanceWindow": matches(f"{DAY}:{TIME}-{DAY}:{TIME}", "a weekly window, such as sun:03:00-sun:03:30"),
        "finalSnapshotIdentifier": matches(
            r"(?!.*--)[A-Za-z]([A-Za-z0-9-]{0,253}[A-Za-z0-9])?", "letters, digits and single dashes"
        ),
        "enabledCloudwatchLogsExports": one_of("postgresql", "upgrade", "iam-db-auth-error"),
    }
    required = ("engine", "username", "dbSubnetGroupName", "allocatedStorage")
    not_simulated = ("replicateSourceDb", "manageMasterUserPassword", "dbName")
    replaces = (
        "identifier", "engine", "username", "availabilityZone", "storageEncrypted", "kmsKeyId", "region",
        "snapshotIdentifier", "restoreToPointInTime",
    )  # fmt: skip
    filled_in = ("availabilityZone", "port")
    references: ClassVar[Mapping[str, str]] = {
        "dbSubnetGroupName": "SubnetGroup", "parameterGroupName": "ParameterGroup",
    }  # fmt: skip
    write_only = frozenset({"password"})

    @override
    def new_id(self, inputs: Properties) -> str:
        return f"db-{secrets.token_hex(13).upper()}"

    @override
    def find(self, id: str) -> Record | None:
        """Find it by its resource id, or by its identifier, which is its import id."""
        named = self.account.records(self.type, identifier=id)
        return named[0] if named else super().find(id)

    @override
    def server(self, record: Record) -> Server:
        return database_access.server(self.account, record)

    @override
    def admit(self, record: Record) -> None:
        database_access.apply(self.account, record)

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        found = super().invalid(inputs)
        password = inputs.get("password")
        if password is not None and (not PASSWORD.fullmatch(password) or set(password) & set('/@"')):
            found.append(Failure("password", 'must be 8 to 128 printable characters other than /, @, " and space.'))
        if inputs["username"].lower() in RESERVED_USERS:
            found.append(Failure("username", f"is {inputs['username']}, which RDS reserves."))
        size, limit = inputs["allocatedStorage"], inputs.get("maxAllocatedStorage")
        minimum = MINIMUM_GIB[inputs.get("storageType", "gp2")]
        if not minimum <= size <= MAXIMUM_GIB:
            found.append(Failure("allocatedStorage", f"is {size}, and must be {minimum} to {MAXIMUM_GIB} GiB."))
        if limit is not None and limit < size * 1.1:
            found.append(Failure("maxAllocatedStorage", f"is {limit}, and must exceed {size} by a tenth or more."))
        if not inputs.get("skipFinalSnapshot") and not inputs.get("finalSnapshotIdentifier"):
            found.append(Failure("finalSnapshotIdentifier", "is required unless skipFinalSnapshot is true."))
        return found + rds_backups.failures(inputs) + _window_failures(inputs)

    @override
    def check_dependencies(self, inputs: Properties) -> None:
        super().check_dependencies(inputs)
        network = self.existing("SubnetGroup", inputs["dbSubnetGroupName"]).outputs.get("vpcId")
        for group in inputs.get("vpcSecurityGroupIds") or []:
            if network_of_group(self.account, group) != network:
                raise ApiError(
                    f"400 InvalidParameterCombination: the DB instance and security group {group} are not in one VPC"
                )
        if inputs.get("parameterGroupName"):
            group = self.existing("ParameterGroup", inputs["parameterGroupName"])
            wanted = f"postgres{_major(inputs)}"
            if group.inputs["family"] != wanted:
                raise ApiError(
                    f"400 InvalidParameterCombination: the parameter group {group.id} is of family"
                    f" {group.inputs['family']}, and this instance needs one of family {wanted}"
                )

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        if not inputs.get("password"):
            raise ApiError("400 InvalidParameterValue: the parameter MasterUserPassword must be provided")
        if not offered(actual(inputs.get("engineVersion", DEFAULT_POSTGRES))):
            raise ApiError(
                f"400 InvalidParameterCombination: cannot find version {inputs['engineVersion']} for postgres"
            )
        suffix = "c" + "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(11))
        host = f"{inputs['identifier']}.{suffix}.{inputs['region']}.rds.amazonaws.com"
        record = Record(self.type, id, inputs, {"address": host})
        backup = rds_backups.origin(self, inputs)
        server = self.launch(record, _new_password(inputs) if backup else _master_user(inputs), backup)
        zones.put(self.account.lab, _zone(record), {host: server.host})
        self.announce(f"a {inputs['instanceClass']} of RDS for PostgreSQL {inputs.get('engineVersion', '')}", server)
        return {
            **record.outputs,
            "arn": self.arn_for(id, inputs),
            "availabilityZone": inputs.get("availabilityZone", f"{inputs['region']}a"),
            "endpoint": f"{host}:{server.port}",
            "engineVersionActual": actual(inputs.get("engineVersion", DEFAULT_POSTGRES)),
            "hostedZoneId": f"Z{secrets.token_hex(6).upper()}",
            "port": server.port,
            "resourceId": id,
            "status": "available",
        }

    @override
    def update(self, record: Record, new: Properties) -> Properties:
        before, after = _major(record.inputs), _major(new)
        if after < before:
            raise ApiError(f"400 InvalidParameterCombination: cannot upgrade postgres from {before} to {after}")
        if after > before and not new.get("allowMajorVersionUpgrade"):
            raise ApiError(
                "400 InvalidParameterCombination: the AllowMajorVersionUpgrade flag must be present when upgrading to a"
                " new major version"
            )
        live, wanted = record.outputs["engineVersionActual"], actual(new.get("engineVersion", DEFAULT_POSTGRES))
        if new.get("engineVersion") != record.inputs.get("engineVersion") and wanted not in (live, *targets(live)):
            raise ApiError(f"400 InvalidParameterCombination: cannot upgrade postgres from {live} to {wanted}")
        if new["allocatedStorage"] < record.inputs["allocatedStorage"]:
            raise ApiError("400 InvalidParameterCombination: the storage of an instance can't be made smaller")
        changed = Record(self.type, record.id, new, record.outputs)
        server = self.start(changed)
        if new.get("password"):
            with refusing(self.failure):
                server.sql(_new_password(new))
        self.admit(changed)
        same = new.get("engineVersion") == record.inputs.get("engineVersion")
        return {"engineVersionActual": live if same else wanted}

    @override
    def refresh(self, record: Record) -> Properties:
        server = self.start(record)
        zones.put(self.account.lab, _zone(record), {record.outputs["address"]: server.host})
        return {}

    @override
    def delete(self, record: Record) -> None:
        if record.inputs.get("deletionProtection"):
            raise ApiError(
                "400 InvalidParameterCombination: cannot delete protected DB instance, please disable deletion"
                " protection and try again"
            )
        snapshot = "" if record.inputs.get("skipFinalSnapshot") else record.inputs["finalSnapshotIdentifier"]
        if snapshot and Backups(self.account).named(snapshot):
            raise ApiError(
                f"400 DBSnapshotAlreadyExists: cannot create the snapshot because one with the identifier {snapshot}"
                " already exists"
            )
        note_late_logs(
            self.account,
            [RDS_LOG.format(record.inputs["identifier"], each) for each in record.inputs.get(LOGS) or []],
        )
        taken = [self.take_backup(record, snapshot)] if snapshot else []
        if not record.inputs.get("deleteAutomatedBackups", True):
            taken.append(self.take_backup(record, rds_backups.AUTOMATED + record.id))
        self.discard(record)
        self.account.remove(self.type, record.id)
        for each in taken:  # published last, so that an interrupted deletion can be repeated
            self.publish(each)

    @override
    def known_as(self, record: Record) -> str:
        return record.id

    def publish(self, backup: Backup) -> None:
        """Add a snapshot to the account."""
        Backups(self.account).publish(backup)
        self.engine.info(f"simulated: the account keeps the snapshot {backup.id}")

    @override
    def discard(self, record: Record) -> None:
        super().discard(record)
        if record.outputs.get("address"):
            zones.remove(self.account.lab, _zone(record))


def _zone(record: Record) -> str:
    """Return the DNS zone of an instance's host name."""
    return record.outputs["address"].partition(".")[2]


def _master_user(inputs: Properties) -> str:
    """Return SQL for the master user: not a superuser, but owner of its database, with CREATEROLE (RDS user guide)."""
    user = f'"{inputs["username"]}"'
    return (
        "CREATE ROLE rds_superuser NOLOGIN; GRANT pg_monitor, pg_signal_backend TO rds_superuser;"
        f"CREATE ROLE {user} LOGIN CREATEDB CREATEROLE PASSWORD {quoted(inputs['password'])};"
        f"GRANT rds_superuser TO {user}; ALTER DATABASE postgres OWNER TO {user};"
    )


def _new_password(inputs: Properties) -> str:
    return f'ALTER ROLE "{inputs["username"]}" PASSWORD {quoted(inputs["password"])}'


def _major(inputs: Properties) -> int:
    return int(inputs.get("engineVersion", "17").partition(".")[0])


def _window_failures(inputs: Properties) -> list[Failure]:
    """Return windows that are too short, or overlap."""
    found: list[Failure] = []
    spans: list[tuple[int, int]] = []
    for name in ("backupWindow", "maintenanceWindow"):
        if window := inputs.get(name):
            begin, end = (int(each[-5:-3]) * 60 + int(each[-2:]) for each in window.split("-"))
            spans.append((begin, end if end > begin else end + 24 * 60))
            if spans[-1][1] - spans[-1][0] < MINIMUM_WINDOW_MINUTES:
                found.append(Failure(name, f"is {window}, and must be {MINIMUM_WINDOW_MINUTES} minutes or more."))
    if len(spans) == 2 and spans[0][0] < spans[1][1] and spans[1][0] < spans[0][1]:
        weekly = inputs["maintenanceWindow"]
        overlap = f"{inputs['backupWindow']} and the maintenance window {weekly} must not overlap."
        found.append(Failure("backupWindow", overlap))
    return found
