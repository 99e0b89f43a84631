"""Cloud SQL for PostgreSQL: a real server for each instance, at an address of its own."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from typing_extensions import override

from lab.plugins import addresses
from lab.plugins.account import Account, Record
from lab.plugins.database import refusing, start
from lab.plugins.declared import Property
from lab.plugins.difference import Path
from lab.plugins.gcp.kind import COMPUTE_LINK, GoogleKind, numeric_id
from lab.plugins.gcp.rules import PROJECT, REGION
from lab.plugins.gcp.sql_settings import SETTINGS, SHARED_AUTHORITY, settings_faults
from lab.plugins.kind import Refused
from lab.plugins.postgres import Server, Unavailable, quoted
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure

LINK = "https://sqladmin.googleapis.com/sql/v1beta4/"
AGENTS = "gcp-sa-cloud-sql.iam.gserviceaccount.com"
PORT = 5432
#: Google's own superuser; and the role that every user who is made through the API is in.
OWNER, SUPERUSER = "cloudsqladmin", "cloudsqlsuperuser"
ADMINISTRATOR = "postgres"
VERSIONS = frozenset(f"POSTGRES_{number}" for number in (13, 14, 15, 16, 17, 18))


def server(account: Account, record: Record) -> Server:
    """The server behind an instance. A certificate of the shared authority is for its name, others are for nobody's."""
    names = [each["name"].rstrip(".") for each in record.outputs.get("dnsNames", [])]
    return Server(
        account.lab,
        account.folder / f"database-{record.id}",
        PORT,
        superuser=OWNER,
        address=record.outputs.get("privateIpAddress", ""),
        names=names or [record.outputs.get("connectionName", record.id)],
    )


class DatabaseInstance(GoogleKind):
    """One PostgreSQL server, whatever its tier and its availability."""

    title = "Cloud SQL instance"
    module = "sql"
    api = "sqladmin"
    properties: ClassVar[Mapping[str, Property]] = {
        "name": Property(
            str, replaces=True, pattern=r"[a-z]([a-z0-9-]{0,96}[a-z0-9])?",
            rule="1 to 98 lower-case letters, digits and dashes, the first a letter, the last no dash",
        ),
        "region": REGION,
        "databaseVersion": Property(str, required=True, values=VERSIONS),
        "rootPassword": Property(str),
        "deletionProtection": Property(bool),
        "settings": Property(dict, required=True, inner=SETTINGS),
        "instanceType": Property(str, values=frozenset({"CLOUD_SQL_INSTANCE"})),
        "encryptionKeyName": Property(str, replaces=True),
        "project": PROJECT,
    }  # fmt: skip
    computed = (
        "connectionName", "dnsName", "dnsNames", "firstIpAddress", "ipAddresses", "privateIpAddress", "project",
        "publicIpAddress", "selfLink", "serverCaCerts", "serviceAccountEmailAddress",
    )  # fmt: skip
    secret = frozenset({"rootPassword", "serverCaCerts"})
    write_only = frozenset({"rootPassword"})

    @override
    def identify(self, inputs: Properties) -> str:
        return inputs["name"]

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        return settings_faults(inputs["settings"])

    @override
    def replacing(self, old: Properties, new: Properties) -> set[Path]:
        before, after = (each["settings"].get("diskSize") or 0 for each in (old, new))
        return {("settings", "diskSize")} if after < before else set()

    @override
    def build(self, id: str, inputs: Properties) -> Properties:
        peered = self._peered(inputs)
        record = Record(self.type, id, inputs, self._identity(id, inputs))
        if begun := self.account.get(self.type, id):  # what an interrupted attempt has left
            server(self.account, begun).destroy()
        try:
            record.outputs["privateIpAddress"] = addresses.take(self.account.lab, "gcp")
            self.account.put(record)
            database = server(self.account, record)
            database.create()
            self._admit(database, inputs)
            database.sql(_first_roles(inputs.get("rootPassword")))
        except (Unavailable, addresses.Exhausted) as fault:
            server(self.account, record).destroy()
            raise Refused(f"500 {fault}") from None
        settings = inputs["settings"]
        bought = f"{settings['tier']} of {inputs['databaseVersion']}, {settings.get('availabilityType', 'ZONAL')}"
        self.engine.info(
            f"simulated: a {bought}, is one real PostgreSQL {database.version} with TLS at {database.host}:{PORT}"
            f" (not of the range {peered}); no standby, no backups"
        )
        return {**record.outputs, **_addresses(database.host), "serverCaCerts": [_certificate(database)]}

    def _identity(self, id: str, inputs: Properties) -> Properties:
        """What an instance is called; the name for private services access only with the shared authority."""
        project, region = self.project(inputs), inputs.get("region", "")
        address = inputs["settings"].get("ipConfiguration") or {}
        label = hashlib.sha256(project.encode()).hexdigest()[:14]
        name = f"{secrets.token_hex(6)}.{label}.{region}.sql-psa.goog."
        named = {"name": name, "connectionType": "PRIVATE_SERVICES_ACCESS", "dnsScope": "INSTANCE"}
        return {
            "project": project,
            "connectionName": f"{project}:{region}:{id}",
            "dnsName": "",
            "dnsNames": [named] if address.get("serverCaMode") == SHARED_AUTHORITY else [],
            "selfLink": f"{LINK}projects/{project}/instances/{id}",
            "serviceAccountEmailAddress": f"p{numeric_id(12)}-{secrets.token_hex(3)}@{AGENTS}",
        }

    def _peered(self, inputs: Properties) -> str:
        """The connection that gives it an address. Raises Refused."""
        network = inputs["settings"]["ipConfiguration"]["privateNetwork"].removeprefix(COMPUTE_LINK)
        self.existing("Network", network)
        for each in self.account.records():
            if each.type == "Connection" and each.inputs["network"].removeprefix(COMPUTE_LINK) == network:
                return ", ".join(each.inputs["reservedPeeringRanges"])
        raise Refused(
            f"400 failed to create instance because the network {network} doesn't have at least 1 private services"
            " connection; see https://cloud.google.com/vpc/docs/private-services-access"
        )

    def _admit(self, database: Server, inputs: Properties) -> None:
        """The cluster's pods, which are all that the simulated network has."""
        address = inputs["settings"]["ipConfiguration"]
        database.admit([self.account.lab.pod_range], tls_only=address.get("sslMode") == "ENCRYPTED_ONLY")

    @override
    def change(self, record: Record, new: Properties) -> Properties:
        versions = [int(each["databaseVersion"].rpartition("_")[2]) for each in (record.inputs, new)]
        if versions[1] < versions[0]:
            raise Refused("400 the version of an instance can't be lowered")
        with refusing("500"):
            database = server(self.account, record)
            database.start()
            self._admit(database, new)
            if new.get("rootPassword") and new["rootPassword"] != record.inputs.get("rootPassword"):
                database.sql(f"ALTER ROLE {ADMINISTRATOR} PASSWORD {quoted(new['rootPassword'])}")
        return {}

    @override
    def look(self, record: Record) -> Properties:
        start(server(self.account, record), "500")
        return {}

    @override
    def unmake(self, record: Record) -> None:
        if record.inputs.get("deletionProtection", True):
            raise Refused("cannot destroy instance without setting deletion_protection=false and running `pulumi up`")
        if record.inputs["settings"].get("deletionProtectionEnabled"):
            raise Refused("400 the instance is protected: deletionProtectionEnabled is set")
        server(self.account, record).destroy()
        inside = ("Database", "User")
        self.account.remove_all(lambda each: each.type in inside and each.inputs.get("instance") == record.id)


def _first_roles(password: str | None) -> str:
    """The roles that Cloud SQL makes (Cloud SQL documentation, PostgreSQL users)."""
    secret = f"PASSWORD {quoted(password)}" if password else ""
    return (
        f"CREATE ROLE {SUPERUSER} CREATEDB CREATEROLE;"
        f" CREATE ROLE {ADMINISTRATOR} LOGIN CREATEDB CREATEROLE IN ROLE {SUPERUSER} {secret};"
        f" ALTER DATABASE postgres OWNER TO {SUPERUSER}"
    )


def _addresses(host: str) -> Properties:
    return {
        "privateIpAddress": host,
        "firstIpAddress": host,
        "publicIpAddress": "",
        "ipAddresses": [{"type": "PRIVATE", "ipAddress": host, "timeToRetire": ""}],
    }


def _certificate(database: Server) -> Properties:
    """The authority's certificate as the API lists it."""
    text = database.authority.certificate.read_text(encoding="utf-8")
    parsed: Any = x509.load_pem_x509_certificate(text.encode())

    def moment(time: datetime) -> str:
        return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")

    return {
        "cert": text,
        "commonName": parsed.subject.rfc4514_string(),
        "createTime": moment(parsed.not_valid_before_utc),
        "expirationTime": moment(parsed.not_valid_after_utc),
        "sha1Fingerprint": parsed.fingerprint(hashes.SHA1()).hex(),  # noqa: S303 a fingerprint, as the API gives it
    }
