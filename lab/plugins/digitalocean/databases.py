"""Managed PostgreSQL: a real server for each database cluster, with TLS, users and rights as the cloud gives them."""

from __future__ import annotations

import re
import secrets
import string
import uuid
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from lab.plugins.account import Account, Record
from lab.plugins.database import refusing, start
from lab.plugins.declared import Property
from lab.plugins.digitalocean.kubernetes import TIME, tag_faults
from lab.plugins.digitalocean.slugs import DAYS, REGIONS, TAGS, UUID
from lab.plugins.kind import Kind, Refused
from lab.plugins.postgres import Server, free_port, quoted
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure

ADMINISTRATOR = "doadmin"
FIRST_DATABASE = "defaultdb"
#: PostgreSQL versions that the API takes (API reference, Databases, options).
VERSIONS = frozenset({"13", "14", "15", "16", "17", "18"})
#: The size without a standby, and how many nodes a PostgreSQL cluster may have.
WITHOUT_STANDBY = "db-s-1vcpu-1gb"
MOST_NODES = 3
#: How full (percent) a disk may be before it grows, and by how much (GiB) it may (API reference, Databases).
THRESHOLDS, INCREMENTS = frozenset(range(15, 96)), frozenset(range(10, 501))
CLUSTER = Property(str, required=True, replaces=True, pattern=UUID, rule="the id of a database cluster (a UUID)")
#: Names in PostgreSQL that need no quotes.
IDENTIFIER = Property(
    str,
    replaces=True,
    pattern=r"[a-zA-Z_][a-zA-Z0-9_-]{0,62}",
    rule="letters, digits, underscores and dashes, 63 at most",
)


def password() -> str:
    """A password of the cloud's form."""
    return "AVNS_" + "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(19))


def server(account: Account, record: Record) -> Server:
    """The server behind a database cluster."""
    return Server(account.lab, account.folder / f"database-{record.id}", record.outputs.get("port", 0))


class DatabaseCluster(Kind):
    """One PostgreSQL server, whatever the number of nodes."""

    title = "database cluster"
    properties: ClassVar[Mapping[str, Property]] = {
        "name": Property(
            str, replaces=True, pattern=r"[a-z][a-z0-9-]{1,61}[a-z0-9]",
            rule="3 to 63 lower-case letters, digits and dashes, the first a letter",
        ),
        "engine": Property(str, required=True, replaces=True, values=frozenset({"pg"})),
        "version": Property(str, required=True, values=VERSIONS),
        "size": Property(str, required=True, pattern=r"(db|gd|so1_5|m|g)-[a-z0-9-]+", rule="a database size slug"),
        "nodeCount": Property(int, required=True, values=frozenset(range(1, MOST_NODES + 1))),
        "region": Property(str, required=True, values=REGIONS),
        "privateNetworkUuid": Property(str, replaces=True, pattern=UUID, rule="the id of a VPC (a UUID)"),
        "maintenanceWindows": Property(
            list,
            inner={
                "day": Property(str, required=True, values=DAYS),
                "hour": Property(str, required=True, pattern=TIME + "(:00)?", rule="a time of day, HH:MM"),
            },
        ),
        "storageSizeMib": Property(str),
        "storageAutoscale": Property(
            dict,
            inner={
                "enabled": Property(bool, required=True),
                "thresholdPercent": Property(int, values=THRESHOLDS),
                "incrementGib": Property(int, values=INCREMENTS),
            },
        ),
        "projectId": Property(str, replaces=True),
        "tags": TAGS,
    }  # fmt: skip
    computed = (
        "clusterUrn", "database", "host", "password", "port", "privateHost", "privateNetworkUuid", "privateUri",
        "projectId", "storageSizeMib", "uri", "user",
    )  # fmt: skip
    secret = frozenset({"password", "uri", "privateUri"})

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        found = tag_faults(inputs.get("tags"))
        if inputs["nodeCount"] > 1 and inputs["size"] == WITHOUT_STANDBY:
            found.append(Failure("nodeCount", f"is {inputs['nodeCount']}, and {WITHOUT_STANDBY} has no standby nodes."))
        return found

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        if inputs.get("privateNetworkUuid"):
            self.existing("Vpc", inputs["privateNetworkUuid"])
        taken = [each.outputs.get("port", 0) for each in self.account.records() if each.type == self.type]
        with refusing("500"):
            record = Record(self.type, id, inputs, {"port": free_port(self.account.lab, taken)})
            database = server(self.account, record)
            database.destroy()  # what an interrupted attempt has left
            database.create()
            secret = password()
            database.sql(
                f"CREATE ROLE {ADMINISTRATOR} LOGIN CREATEDB CREATEROLE PASSWORD {quoted(secret)};"
                f"CREATE DATABASE {FIRST_DATABASE} OWNER {ADMINISTRATOR};"
            )
        self.engine.info(
            f"simulated: a {inputs['size']} of PostgreSQL {inputs['version']}, {inputs['nodeCount']} node(s), is one"
            f" real PostgreSQL {database.version} with TLS at {database.host}:{database.port}; no standby, no backups"
        )
        address = f"{ADMINISTRATOR}:{secret}@{database.host}:{database.port}/{FIRST_DATABASE}?sslmode=require"
        return {
            "clusterUrn": f"do:dbaas:{id}",
            "database": FIRST_DATABASE,
            "host": database.host,
            "privateHost": database.host,
            "port": database.port,
            "user": ADMINISTRATOR,
            "password": secret,
            "uri": f"postgresql://{address}",
            "privateUri": f"postgresql://{address}",
            "privateNetworkUuid": inputs.get("privateNetworkUuid") or str(uuid.uuid4()),
            "projectId": inputs.get("projectId") or str(uuid.uuid4()),
            "storageSizeMib": inputs.get("storageSizeMib") or "10240",
        }

    @override
    def change(self, record: Record, new: Properties) -> Properties:
        if int(new["version"]) < int(record.inputs["version"]):
            raise Refused("422 the version of a database can't be lowered")
        return {}

    @override
    def look(self, record: Record) -> Properties:
        start(server(self.account, record), "500")
        return {}

    @override
    def unmake(self, record: Record) -> None:
        server(self.account, record).destroy()
        self.account.remove_all(lambda each: each.inputs.get("clusterId") == record.id)


class _InCluster(Kind):
    """Something inside a database cluster."""

    unique_name = False
    part = ""

    @override
    def identify(self, inputs: Properties) -> str:
        return f"{inputs['clusterId']}/{self.part}/{inputs['name']}"

    @override
    def import_id(self, record: Record) -> str:
        return f"{record.inputs['clusterId']},{record.inputs['name']}"

    @override
    def find(self, id: str) -> Record | None:
        return super().find(id.replace(",", f"/{self.part}/"))

    def sql(self, inputs: Properties, statement: str) -> str:
        """Run it on the cluster's server. Raises Refused."""
        with refusing("422"):
            database = server(self.account, self.existing("DatabaseCluster", inputs["clusterId"]))
            database.start()
            return database.sql(statement)


class DatabaseDb(_InCluster):
    """A database, owned by the administrator."""

    title = "database"
    part = "database"
    properties: ClassVar[Mapping[str, Property]] = {"clusterId": CLUSTER, "name": IDENTIFIER}

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        there = self.sql(inputs, f"SELECT 1 FROM pg_database WHERE datname = {quoted(inputs['name'])}")  # noqa: S608 quoted
        if not there:  # else an interrupted attempt has made it
            self.sql(inputs, f'CREATE DATABASE "{inputs["name"]}" OWNER {ADMINISTRATOR}')
        return {}

    @override
    def unmake(self, record: Record) -> None:
        self.sql(record.inputs, f'DROP DATABASE IF EXISTS "{record.inputs["name"]}" WITH (FORCE)')


class DatabaseUser(_InCluster):
    """A user, with no rights but those that PostgreSQL gives everybody."""

    title = "database user"
    part = "user"
    properties: ClassVar[Mapping[str, Property]] = {"clusterId": CLUSTER, "name": IDENTIFIER}
    computed = ("password", "role")
    secret = frozenset({"password"})

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        secret = password()
        name = inputs["name"]  # there already where an attempt was interrupted
        self.sql(inputs, f'DROP ROLE IF EXISTS "{name}"; CREATE ROLE "{name}" LOGIN PASSWORD {quoted(secret)}')
        return {"password": secret, "role": "normal"}

    @override
    def unmake(self, record: Record) -> None:
        """PostgreSQL refuses while the user owns anything, or has rights that were granted to it."""
        self.sql(record.inputs, f'DROP ROLE IF EXISTS "{record.inputs["name"]}"')


class DatabaseFirewall(Kind):
    """Who may connect; without one, everybody."""

    title = "database firewall"
    properties: ClassVar[Mapping[str, Property]] = {
        "clusterId": CLUSTER,
        "rules": Property(
            list,
            required=True,
            inner={
                "type": Property(str, required=True, values=frozenset({"ip_addr", "droplet", "k8s", "tag", "app"})),
                "value": Property(str, required=True),
                "uuid": Property(str),
            },
        ),
    }
    autonamed = False

    @override
    def identify(self, inputs: Properties) -> str:
        return f"{inputs['clusterId']}-{secrets.token_hex(13)}"

    @override
    def import_id(self, record: Record) -> str:
        return record.inputs["clusterId"]

    @override
    def find(self, id: str) -> Record | None:
        of_cluster = [each for each in self.account.records() if each.type == self.type and id == self.import_id(each)]
        return of_cluster[0] if of_cluster else super().find(id)

    @override
    def make(self, id: str, inputs: Properties) -> Properties:
        sources: list[str] = []
        for rule in inputs["rules"]:
            if rule["type"] == "k8s":
                self.existing("KubernetesCluster", rule["value"])
                sources.append(self.account.lab.pod_range)
            elif rule["type"] == "ip_addr" and re.fullmatch(r"[0-9.]+", rule["value"]):
                sources.append(f"{rule['value']}/32")
        self._admit(inputs["clusterId"], sources)
        return {}

    @override
    def change(self, record: Record, new: Properties) -> Properties:
        return self.make(record.id, new)

    @override
    def unmake(self, record: Record) -> None:
        if self.account.get("DatabaseCluster", record.inputs["clusterId"]):
            self._admit(record.inputs["clusterId"], ["all"])

    def _admit(self, cluster: str, sources: list[str]) -> None:
        with refusing("500"):
            database = server(self.account, self.existing("DatabaseCluster", cluster))
            database.start()
            database.admit(sources)
