"""Managed PostgreSQL: a real server for each database cluster, with TLS, and with the users and rights of the cloud."""

from __future__ import annotations

import re
import secrets
import string
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.backups import Backup, Backups
from lab.plugins.database import DatabaseServer, InServer, ServerDatabase, ServerUser, refusing
from lab.plugins.digitalocean.kind import DAYS, TIME, DigitalOceanKind, tag_failures
from lab.plugins.digitalocean.upgrading import Upgrading
from lab.plugins.kind import ApiError
from lab.plugins.postgres import Server, free_port, quoted
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure
from lab.plugins.rules import Rule, between, matches, one_of
from lab.plugins.times import go_time

ADMINISTRATOR = "doadmin"
FIRST_DATABASE = "defaultdb"
LATEST_MAJOR = 18
#: The size that has no standby nodes (API reference, Databases).
WITHOUT_STANDBY = "db-s-1vcpu-1gb"
#: Names that need no quotes in PostgreSQL.
IDENTIFIER = matches(r"[a-zA-Z_][a-zA-Z0-9_-]{0,62}", "letters, digits, underscores and dashes, 63 characters at most")


def windows(inputs: Properties) -> list[Properties]:
    """Return the maintenance windows as the API writes them, with seconds."""
    return [{**each, "hour": f"{each['hour'][:5]}:00"} for each in inputs.get("maintenanceWindows", [])]


def password() -> str:
    """Return a password in the cloud's form."""
    return "AVNS_" + "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(19))


class DatabaseCluster(DatabaseServer, Upgrading):
    """One PostgreSQL server, whatever the number of nodes."""

    title = "database cluster"
    settled = "online"
    # Versions, numbers of nodes, and storage limits: API reference, Databases.
    rules: ClassVar[Mapping[str, Rule]] = {
        "name": matches(
            r"[a-z][a-z0-9-]{1,61}[a-z0-9]", "3 to 63 lower-case letters, digits and dashes, starting with a letter"
        ),
        "engine": one_of("pg"),
        "version": one_of("13", "14", "15", "16", "17", "18"),
        "size": matches(r"(db|gd|so1_5|m|g)-[a-z0-9-]+", "a database size slug"),
        "nodeCount": between(1, 3),
        "maintenanceWindows.day": one_of(*DAYS),
        "maintenanceWindows.hour": matches(TIME + "(:00)?", "a time of day, HH:MM"),
        "storageAutoscale.thresholdPercent": between(15, 95),
        "storageAutoscale.incrementGib": between(10, 500),
    }
    required = ("version",)
    replaces = ("name", "engine", "privateNetworkUuid", "projectId")
    filled_in = ("privateNetworkUuid", "projectId", "storageSizeMib")
    references: ClassVar[Mapping[str, str]] = {"privateNetworkUuid": "Vpc"}
    deleted_with: ClassVar[Mapping[str, str]] = {
        "DatabaseDb": "clusterId", "DatabaseUser": "clusterId", "DatabaseFirewall": "clusterId",
    }  # fmt: skip

    @override
    def server(self, record: Record) -> Server:
        folder = self.account.folder / f"database-{record.id}"
        return Server(self.account.lab, folder, record.outputs.get("port", 0))

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        found = tag_failures(inputs.get("tags"))
        if inputs["nodeCount"] > 1 and inputs["size"] == WITHOUT_STANDBY:
            found.append(Failure("nodeCount", f"is {inputs['nodeCount']}, and {WITHOUT_STANDBY} has no standby nodes."))
        return found

    @override
    def offered(self, version: str) -> list[str]:
        return [str(later) for later in range(int(version) + 1, LATEST_MAJOR + 1)]

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        taken = [each.outputs.get("port", 0) for each in self.account.records(self.type)]
        with refusing(self.failure):
            port = free_port(self.account.lab, taken)
        secret, backup = password(), self._origin(inputs)
        statements = f"ALTER ROLE {ADMINISTRATOR} PASSWORD {quoted(secret)}"
        if not backup:
            statements = (
                f"CREATE ROLE {ADMINISTRATOR} LOGIN CREATEDB CREATEROLE PASSWORD {quoted(secret)};"
                f"CREATE DATABASE {FIRST_DATABASE} OWNER {ADMINISTRATOR};"
            )
        server = self.launch(Record(self.type, id, inputs, {"port": port}), statements, backup)
        for each in backup.records() if backup else []:
            _, _, part = each.id.partition("/")
            self.account.put(replace(each, id=f"{id}/{part}", inputs={**each.inputs, "clusterId": id}))
        size = f"{inputs['size']} of PostgreSQL {inputs['version']}, {inputs['nodeCount']} node(s),"
        self.announce(f"a {size}", server)
        uri = f"postgresql://{ADMINISTRATOR}:{secret}@{server.host}:{port}/{FIRST_DATABASE}?sslmode=require"
        return {
            "clusterUrn": f"do:dbaas:{id}",
            "database": FIRST_DATABASE,
            "host": server.host,
            "privateHost": server.host,
            "port": port,
            "user": ADMINISTRATOR,
            "password": secret,
            "uri": uri,
            "privateUri": uri,
            "privateNetworkUuid": inputs.get("privateNetworkUuid") or str(uuid.uuid4()),
            "projectId": inputs.get("projectId") or str(uuid.uuid4()),
            "storageSizeMib": inputs.get("storageSizeMib") or "10240",
            "version": inputs["version"],
            "maintenanceWindows": windows(inputs),
            # The login to a dashboard that PostgreSQL does not have: the provider sets it nevertheless.
            "uiDatabase": "",
            "uiHost": "",
            "uiPassword": "",
            "uiPort": 0,
            "uiUri": "",
            "uiUser": "",
        }

    def _origin(self, inputs: Properties) -> Backup | None:
        """Return the backup that a new server begins from. Only an existing server has backups. Raises ApiError."""
        wanted = inputs.get("backupRestore")
        if not wanted:
            return None
        name, until = wanted["databaseName"], wanted.get("backupCreatedAt") or ""
        if not self.account.records(self.type, name=name):
            raise ApiError(f"404 there is no database cluster {name!r} to restore a backup of")
        if found := Backups(self.account).latest(name, until):
            return found
        raise ApiError(f"422 the database cluster {name!r} has no backup from before {until or 'now'}")

    @override
    def delete(self, record: Record) -> None:
        super().delete(record)
        Backups(self.account).remove_of(self.known_as(record))

    @override
    def update(self, record: Record, new: Properties) -> Properties:
        if int(new["version"]) < int(record.inputs["version"]):
            raise ApiError("422 the version of a database can't be lowered")
        return {"maintenanceWindows": windows(new), **self.begin_upgrade(record, new)}

    @override
    def refresh(self, record: Record) -> Properties:
        return {**super().refresh(record), **self.upgraded(record)}


class _InCluster(InServer, DigitalOceanKind):
    """A named thing in a database cluster."""

    server_type = DatabaseCluster
    server_input = "clusterId"
    failure = "422"
    part: ClassVar[str]
    rules: ClassVar[Mapping[str, Rule]] = {"name": IDENTIFIER}
    replaces = ("clusterId", "name")

    @override
    def new_id(self, inputs: Properties) -> str:
        return f"{inputs['clusterId']}/{self.part}/{inputs['name']}"

    @override
    def import_id(self, record: Record) -> str:
        return f"{record.inputs['clusterId']},{record.inputs['name']}"

    @override
    def find(self, id: str) -> Record | None:
        return super().find(id.replace(",", f"/{self.part}/"))


class DatabaseDb(_InCluster, ServerDatabase):
    """A database, owned by the administrator."""

    title = "database"
    part = "database"
    owner = ADMINISTRATOR
    drop_option = " WITH (FORCE)"


class DatabaseUser(_InCluster, ServerUser):
    """A user with no rights except those that PostgreSQL gives everybody."""

    title = "database user"
    part = "user"

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        secret, name = password(), inputs["name"]
        # An interrupted attempt may have created the role.
        self.sql(inputs, f'DROP ROLE IF EXISTS "{name}"; CREATE ROLE "{name}" LOGIN PASSWORD {quoted(secret)}')
        return {"password": secret, "role": "normal", "accessCert": "", "accessKey": ""}


class DatabaseFirewall(DigitalOceanKind):
    """Who may connect. Without a firewall, everybody may."""

    title = "database firewall"
    rules: ClassVar[Mapping[str, Rule]] = {"rules.type": one_of("ip_addr", "droplet", "k8s", "tag", "app")}
    replaces = ("clusterId",)
    autonamed = False

    @override
    def new_id(self, inputs: Properties) -> str:
        return f"{inputs['clusterId']}-{secrets.token_hex(13)}"

    @override
    def import_id(self, record: Record) -> str:
        return record.inputs["clusterId"]

    @override
    def find(self, id: str) -> Record | None:
        of_cluster = self.account.records(self.type, clusterId=id)
        return of_cluster[0] if of_cluster else super().find(id)

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        sources: list[str] = []
        for rule in inputs["rules"]:
            if rule["type"] == "k8s":
                self.existing("KubernetesCluster", rule["value"])
                sources.append(self.account.lab.pod_range)
            elif rule["type"] == "ip_addr" and re.fullmatch(r"[0-9.]+", rule["value"]):
                sources.append(f"{rule['value']}/32")
        self._admit(inputs["clusterId"], sources)
        return {"rules": [{**rule, "uuid": str(uuid.uuid4()), "createdAt": go_time()} for rule in inputs["rules"]]}

    @override
    def update(self, record: Record, new: Properties) -> Properties:
        return self.create(record.id, new)

    @override
    def delete(self, record: Record) -> None:
        if self.account.get("DatabaseCluster", record.inputs["clusterId"]):
            self._admit(record.inputs["clusterId"], ["all"])

    def _admit(self, cluster: str, sources: list[str]) -> None:
        databases = DatabaseCluster(self.account, self.engine)
        server = databases.start(self.existing("DatabaseCluster", cluster))
        with refusing(databases.failure):
            server.admit(sources)
