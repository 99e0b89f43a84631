"""RDS for PostgreSQL: a real server for each instance, with TLS, the rights of a master user, and its doors."""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins import addresses, zones
from lab.plugins.account import Record
from lab.plugins.aws import doors
from lab.plugins.aws.kind import REGION, TAGS, AwsKind, arn_property
from lab.plugins.aws.security_groups import network_of_group
from lab.plugins.aws.snapshots import check_new_snapshot, take_snapshot
from lab.plugins.database import refusing, start
from lab.plugins.declared import Property
from lab.plugins.kind import Refused
from lab.plugins.postgres import Unavailable, quoted
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure

IDENTIFIER = r"(?!.*--)[a-z]([a-z0-9-]{0,61}[a-z0-9])?"
DAY = "(mon|tue|wed|thu|fri|sat|sun)"
TIME = "([01][0-9]|2[0-3]):[0-5][0-9]"
PASSWORD = re.compile(r"""[!-~]{8,128}""")
RESERVED_USERS = frozenset({"admin", doors.SUPERUSER, "rdsrepladmin", "public"})
AUTHORITIES = frozenset({"rds-ca-rsa2048-g1", "rds-ca-rsa4096-g1", "rds-ca-ecc384-g1"})
FEWEST_GIB = {"gp2": 20, "gp3": 20, "io1": 100, "io2": 100, "standard": 10}


class Instance(AwsKind):
    """One PostgreSQL server, with or without a standby."""

    module = "rds"
    service = "rds"
    title = "DB instance"
    name_property = "identifier"
    autonamed = True
    unique_name = True
    properties: ClassVar[Mapping[str, Property]] = {
        "identifier": Property(
            str, replaces=True, pattern=IDENTIFIER, rule="at most 63 lower-case letters, digits, single dashes"
        ),
        "engine": Property(str, required=True, replaces=True, values=frozenset({"postgres"})),
        "engineVersion": Property(str, pattern=r"1[1-9](\.[0-9]+)?", rule="a version of PostgreSQL, such as 16"),
        "instanceClass": Property(
            str, required=True, pattern=r"db\.[a-z][a-z0-9-]*\.[a-z0-9]+", rule="an instance class (db.t4g.micro)"
        ),
        "username": Property(
            str, required=True, replaces=True, pattern="[A-Za-z][A-Za-z0-9_]{0,62}", rule="letters, digits, underscores"
        ),
        "password": Property(str),
        "port": Property(int, values=frozenset(range(1150, 65536))),
        "dbName": Property(str, replaces=True, pattern="[A-Za-z_][A-Za-z0-9_]{0,62}", rule="letters, digits, _"),
        "dbSubnetGroupName": Property(str, required=True),
        "vpcSecurityGroupIds": Property(list, each=str),
        "parameterGroupName": Property(str),
        "publiclyAccessible": Property(bool),
        "multiAz": Property(bool),
        "availabilityZone": Property(str, replaces=True),
        "storageType": Property(str, values=frozenset(FEWEST_GIB)),
        "allocatedStorage": Property(int, required=True),
        "maxAllocatedStorage": Property(int),
        "storageEncrypted": Property(bool, replaces=True),
        "kmsKeyId": arn_property("kms", replaces=True),
        "caCertIdentifier": Property(str, values=AUTHORITIES),
        "backupRetentionPeriod": Property(int, values=frozenset(range(36))),
        "backupWindow": Property(str, pattern=f"{TIME}-{TIME}", rule="a window, HH:MM-HH:MM"),
        "maintenanceWindow": Property(
            str, pattern=f"{DAY}:{TIME}-{DAY}:{TIME}", rule="a weekly window, such as sun:03:00-sun:03:30"
        ),
        "copyTagsToSnapshot": Property(bool),
        "deleteAutomatedBackups": Property(bool),
        "skipFinalSnapshot": Property(bool),
        "finalSnapshotIdentifier": Property(
            str, pattern=r"(?!.*--)[A-Za-z]([A-Za-z0-9-]{0,253}[A-Za-z0-9])?", rule="letters, digits, single dashes"
        ),
        "deletionProtection": Property(bool),
        "enabledCloudwatchLogsExports": Property(
            list, each=str, values=frozenset({"postgresql", "upgrade", "iam-db-auth-error"})
        ),
        "allowMajorVersionUpgrade": Property(bool),
        "autoMinorVersionUpgrade": Property(bool),
        "applyImmediately": Property(bool),
        "iamDatabaseAuthenticationEnabled": Property(bool),
        "performanceInsightsEnabled": Property(bool),
        "region": REGION,
        "tags": TAGS,
    }
    computed = (
        "address", "arn", "availabilityZone", "endpoint", "engineVersionActual", "hostedZoneId", "port", "resourceId",
        "status",
    )  # fmt: skip
    secret = frozenset({"password"})
    write_only = frozenset({"password"})

    @override
    def identify(self, inputs: Properties) -> str:
        return f"db-{secrets.token_hex(13).upper()}"

    @override
    def find(self, id: str) -> Record | None:
        """By its resource id, or by its identifier, as it is imported."""
        named = self.others(self.type, identifier=id)
        return named[0] if named else super().find(id)

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        found = super().invalid(inputs)
        password = inputs.get("password")
        if password is not None and (not PASSWORD.fullmatch(password) or set(password) & set('/@"')):
            found.append(Failure("password", 'must be 8 to 128 printable characters other than /, @, " and space.'))
        if inputs["username"].lower() in RESERVED_USERS:
            found.append(Failure("username", f"is {inputs['username']}, a word that RDS keeps for itself."))
        size, most = inputs["allocatedStorage"], inputs.get("maxAllocatedStorage")
        fewest = FEWEST_GIB[inputs.get("storageType", "gp2")]
        if not fewest <= size <= 65536:
            found.append(Failure("allocatedStorage", f"is {size}, and must be {fewest} to 65536 GiB."))
        if most is not None and most < size * 1.1:
            found.append(Failure("maxAllocatedStorage", f"is {most}, and must be a tenth more than {size} or more."))
        if not inputs.get("skipFinalSnapshot") and not inputs.get("finalSnapshotIdentifier"):
            found.append(Failure("finalSnapshotIdentifier", "is required unless skipFinalSnapshot is true."))
        return found + _window_faults(inputs)

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        self._check_surroundings(inputs)
        if not inputs.get("password"):
            raise Refused("400 InvalidParameterValue: the parameter MasterUserPassword must be provided")
        if begun := self.account.get(self.type, id):  # what an interrupted attempt has left
            doors.remove(self.account, begun)
        letters = string.ascii_lowercase + string.digits
        suffix = "c" + "".join(secrets.choice(letters) for _ in range(11))
        record = Record(
            self.type, id, inputs, {"address": f"{inputs['identifier']}.{suffix}.{inputs['region']}.rds.amazonaws.com"}
        )
        try:
            record.outputs[doors.ADDRESS] = addresses.take(self.account.lab, "aws")
            # Known from now on, so that rules that are made meanwhile find the server.
            self.account.put(record)
            database = doors.server(self.account, record)
            database.create()
            database.sql(_master_user(inputs))
            doors.set_one(self.account, record)
        except (Unavailable, addresses.Exhausted, Refused) as fault:
            doors.remove(self.account, record)
            raise Refused(f"{doors.FAILURE} {fault}") from None
        host, port = record.outputs["address"], database.port
        zones.put(self.account.lab, doors.zone(record), {host: database.host})
        self.engine.info(
            f"simulated: a {inputs['instanceClass']} of RDS for PostgreSQL {inputs.get('engineVersion', '')} is one"
            f" real PostgreSQL {database.version} with TLS at {database.host}:{port}; no standby, no backups"
        )
        return {
            **record.outputs,
            "arn": self.arn(inputs, f"db:{inputs['identifier']}"),
            "availabilityZone": inputs.get("availabilityZone", f"{inputs['region']}a"),
            "endpoint": f"{host}:{port}",
            "engineVersionActual": inputs.get("engineVersion", database.version),
            "hostedZoneId": f"Z{secrets.token_hex(6).upper()}",
            "port": port,
            "resourceId": id,
            "status": "available",
        }

    def _check_surroundings(self, inputs: Properties) -> None:
        network = self.existing("SubnetGroup", inputs["dbSubnetGroupName"]).outputs.get("vpcId")
        for group in inputs.get("vpcSecurityGroupIds") or []:
            if network_of_group(self.account, group) != network:
                raise Refused(
                    f"400 InvalidParameterCombination: the DB instance and security group {group} are not in one VPC"
                )
        if inputs.get("parameterGroupName"):
            group = self.existing("ParameterGroup", inputs["parameterGroupName"])
            wanted = f"postgres{_major(inputs)}"
            if group.inputs["family"] != wanted:
                raise Refused(
                    f"400 InvalidParameterCombination: the parameter group {group.id} is of family"
                    f" {group.inputs['family']}, and this instance needs one of family {wanted}"
                )

    @override
    def change(self, record: Record, new: Properties) -> Properties:
        before, after = _major(record.inputs), _major(new)
        if after < before:
            raise Refused(f"400 InvalidParameterCombination: cannot upgrade postgres from {before} to {after}")
        if after > before and not new.get("allowMajorVersionUpgrade"):
            raise Refused(
                "400 InvalidParameterCombination: the AllowMajorVersionUpgrade flag must be present when upgrading to a"
                " new major version"
            )
        if new["allocatedStorage"] < record.inputs["allocatedStorage"]:
            raise Refused("400 InvalidParameterCombination: the storage of an instance can't be made smaller")
        self._check_surroundings(new)
        changed = Record(self.type, record.id, new, record.outputs)
        database = doors.server(self.account, changed)
        with refusing(doors.FAILURE):
            database.start()
            if new.get("password"):
                database.sql(f'ALTER ROLE "{new["username"]}" PASSWORD {quoted(new["password"])}')
        doors.set_one(self.account, changed)
        return {"engineVersionActual": new.get("engineVersion", database.version)}

    @override
    def look(self, record: Record) -> Properties:
        database = doors.server(self.account, record)
        start(database, doors.FAILURE)
        zones.put(self.account.lab, doors.zone(record), {record.outputs["address"]: database.host})
        return {}

    @override
    def unmake(self, record: Record) -> None:
        if record.inputs.get("deletionProtection"):
            raise Refused(
                "400 InvalidParameterCombination: cannot delete protected DB instance, please disable deletion"
                " protection and try again"
            )
        kept = not record.inputs.get("skipFinalSnapshot")
        if kept:
            check_new_snapshot(self.account, record)
        doors.remove(self.account, record)
        self.account.remove(self.type, record.id)
        if kept:  # noted last: its name must be free when an interrupted deletion is repeated
            take_snapshot(self.account, record, self.engine)


def _master_user(inputs: Properties) -> str:
    """SQL: the master user is no superuser in RDS; it owns the databases and may make roles (RDS user guide)."""
    user = f'"{inputs["username"]}"'
    names = ["postgres", *([inputs["dbName"]] if inputs.get("dbName") else [])]
    return "".join(
        [
            "CREATE ROLE rds_superuser NOLOGIN; GRANT pg_monitor, pg_signal_backend TO rds_superuser;",
            f"CREATE ROLE {user} LOGIN CREATEDB CREATEROLE PASSWORD {quoted(inputs['password'])};",
            f"GRANT rds_superuser TO {user};",
            *(f'CREATE DATABASE "{name}";' for name in names[1:]),
            *(f'ALTER DATABASE "{name}" OWNER TO {user};' for name in names),
        ]
    )


def _major(inputs: Properties) -> int:
    return int(inputs.get("engineVersion", "17").partition(".")[0])


def _window_faults(inputs: Properties) -> list[Failure]:
    """Windows are of half an hour or more, and must not meet."""
    backup, weekly = inputs.get("backupWindow"), inputs.get("maintenanceWindow")
    found: list[Failure] = []
    spans: list[tuple[int, int]] = []
    for name, window in (("backupWindow", backup), ("maintenanceWindow", weekly)):
        if window:
            begin, end = (_minutes(each[-5:]) for each in window.split("-"))
            spans.append((begin, end if end > begin else end + 24 * 60))
            if spans[-1][1] - spans[-1][0] < 30:
                found.append(Failure(name, f"is {window}, and must be 30 minutes or more."))
    if len(spans) == 2 and spans[0][0] < spans[1][1] and spans[1][0] < spans[0][1]:
        found.append(Failure("backupWindow", f"{backup} and the maintenance window {weekly} must not overlap."))
    return found


def _minutes(time: str) -> int:
    return int(time[:2]) * 60 + int(time[3:])
