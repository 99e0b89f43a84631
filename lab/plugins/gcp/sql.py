"""Cloud SQL for PostgreSQL: a real server for each instance, at an address of its own, and what it contains."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from typing_extensions import override

from lab.plugins.account import Record
from lab.plugins.backups import Backups
from lab.plugins.database import DatabaseServer, InServer, ServerDatabase, ServerUser, refusing
from lab.plugins.difference import Path
from lab.plugins.gcp import sql_backups
from lab.plugins.gcp.kind import NETWORK, GoogleKind, label_failures, numeric_id
from lab.plugins.kind import ApiError
from lab.plugins.postgres import Server, quoted
from lab.plugins.properties import Properties
from lab.plugins.provider import Failure
from lab.plugins.rules import Rule, between, matches, one_of
from lab.plugins.times import milliseconds

LINK = "https://sqladmin.googleapis.com/sql/v1beta4/"
AGENTS = "gcp-sa-cloud-sql.iam.gserviceaccount.com"
PORT = 5432
#: Google's own superuser, and the role of every user that is created through the API.
OWNER, SUPERUSER = "cloudsqladmin", "cloudsqlsuperuser"
ADMINISTRATOR = "postgres"
SHARED_AUTHORITY = "GOOGLE_MANAGED_CAS_CA"
#: Edition Enterprise Plus has its own machine types, and keeps changes longer (days).
PLUS_TIER = re.compile(r"db-(perf-optimized-N|c4a-highmem)-[0-9]+")
TIER = r"db-(f1-micro|g1-small|custom-[0-9]+-[0-9]+|perf-optimized-N-[0-9]+)"
RECOVERY_DAYS = {"ENTERPRISE": 7, "ENTERPRISE_PLUS": 35}


class DatabaseInstance(DatabaseServer, GoogleKind):
    """One PostgreSQL server, whatever its tier and availability."""

    title = "Cloud SQL instance"
    module = "sql"
    api = "sqladmin"
    address_output = "privateIpAddress"
    rules: ClassVar[Mapping[str, Rule]] = {
        "name": matches(
            r"[a-z]([a-z0-9-]{0,96}[a-z0-9])?",
            "1 to 98 lower-case letters, digits and dashes, starting with a letter, not ending with a dash",
        ),
        "databaseVersion": one_of(*(f"POSTGRES_{number}" for number in range(13, 19))),
        "settings.tier": matches(TIER, "a machine type for PostgreSQL, such as db-custom-2-7680"),
        "settings.edition": one_of(*RECOVERY_DAYS),
        "settings.availabilityType": one_of("ZONAL", "REGIONAL"),
        "settings.diskType": one_of("PD_SSD", "PD_HDD", "HYPERDISK_BALANCED"),
        "settings.ipConfiguration.privateNetwork": NETWORK,
        "settings.ipConfiguration.sslMode": one_of("ALLOW_UNENCRYPTED_AND_ENCRYPTED", "ENCRYPTED_ONLY"),
        "settings.ipConfiguration.serverCaMode": one_of("GOOGLE_MANAGED_INTERNAL_CA", SHARED_AUTHORITY),
        "settings.ipConfiguration.serverCertificateRotationMode": one_of(
            "NO_AUTOMATIC_ROTATION", "AUTOMATIC_ROTATION_DURING_MAINTENANCE"
        ),
        "settings.backupConfiguration.startTime": matches(r"([01][0-9]|2[0-3]):[0-5][0-9]", "a time of day, HH:MM"),
        "settings.backupConfiguration.backupRetentionSettings.retentionUnit": one_of("COUNT"),
        "settings.maintenanceWindow.day": between(1, 7),
        "settings.maintenanceWindow.hour": between(0, 23),
        "settings.maintenanceWindow.updateTrack": one_of("canary", "stable", "week5"),
    }
    required = ("region", "settings")
    not_simulated = ("masterInstanceName",)
    replaces = ("name", "region", "encryptionKeyName", "project")
    references: ClassVar[Mapping[str, str]] = {"settings.ipConfiguration.privateNetwork": "Network"}
    deleted_with: ClassVar[Mapping[str, str]] = {"Database": "instance", "User": "instance"}
    write_only = frozenset({"rootPassword"})

    @override
    def new_id(self, inputs: Properties) -> str:
        return inputs["name"]

    @override
    def server(self, record: Record) -> Server:
        """Return the server. Only certificates of the shared authority are valid for a DNS name."""
        names = [each["name"].rstrip(".") for each in record.outputs.get("dnsNames", [])]
        return Server(
            self.account.lab,
            self.account.folder / f"database-{record.id}",
            PORT,
            superuser=OWNER,
            address=record.outputs.get(self.address_output, ""),
            names=names or [record.outputs.get("connectionName", record.id)],
        )

    @override
    def invalid(self, inputs: Properties) -> list[Failure]:
        return settings_failures(inputs["settings"])

    @override
    def replacing(self, old: Properties, new: Properties) -> set[Path]:
        before, after = (each["settings"].get("diskSize") or 0 for each in (old, new))
        return {("settings", "diskSize")} if after < before else set()

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        peered = self._peered_ranges(inputs)
        record = Record(self.type, id, inputs, self._identity(id, inputs))
        backup = sql_backups.origin(self, inputs)
        # A backup brings its own users and passwords.
        server = self.launch(record, "" if backup else _first_roles(inputs.get("rootPassword")), backup)
        for each in backup.records() if backup else []:
            kind = Database if each.type == Database.__name__ else User
            inside = {**each.inputs, "instance": id}
            self.account.put(replace(each, id=kind(self.account, self.engine).new_id(inside), inputs=inside))
        settings = inputs["settings"]
        size = f"{settings['tier']} of {inputs['databaseVersion']}, {settings.get('availabilityType', 'ZONAL')},"
        self.announce(f"a {size} in the range {peered}", server)
        return {
            **record.outputs,
            "firstIpAddress": server.host,
            "publicIpAddress": "",
            "ipAddresses": [{"type": "PRIVATE", "ipAddress": server.host, "timeToRetire": ""}],
            "serverCaCerts": [_certificate(server)],
        }

    def _identity(self, id: str, inputs: Properties) -> Properties:
        """Return what an instance is called. Only the shared authority gives it a DNS name."""
        project, region = self.project(inputs), inputs.get("region", "")
        label = hashlib.sha256(project.encode()).hexdigest()[:14]
        name = f"{secrets.token_hex(6)}.{label}.{region}.sql-psa.goog."
        named = {"name": name, "connectionType": "PRIVATE_SERVICES_ACCESS", "dnsScope": "INSTANCE"}
        shared = (inputs["settings"].get("ipConfiguration") or {}).get("serverCaMode") == SHARED_AUTHORITY
        return {
            "connectionName": f"{project}:{region}:{id}",
            "dnsName": "",
            "dnsNames": [named] if shared else [],
            "selfLink": f"{LINK}projects/{project}/instances/{id}",
            "serviceAccountEmailAddress": f"p{numeric_id(12)}-{secrets.token_hex(3)}@{AGENTS}",
        }

    def _peered_ranges(self, inputs: Properties) -> str:
        """Return the reserved ranges of the network's private services connection. Raises ApiError without one."""
        network = self.plain_id(inputs["settings"]["ipConfiguration"]["privateNetwork"])
        for each in self.account.records("Connection"):
            if self.plain_id(each.inputs["network"]) == network:
                return ", ".join(each.inputs["reservedPeeringRanges"])
        raise ApiError(
            f"400 failed to create instance because the network {network} doesn't have at least 1 private services"
            " connection; see https://cloud.google.com/vpc/docs/private-services-access"
        )

    @override
    def admit(self, record: Record) -> None:
        """Accept the cluster's pods, which are everything in the simulated network."""
        tls_only = record.inputs["settings"]["ipConfiguration"].get("sslMode") == "ENCRYPTED_ONLY"
        self.server(record).admit([self.account.lab.pod_range], tls_only=tls_only)

    @override
    def update(self, record: Record, new: Properties) -> Properties:
        if new.get("restoreBackupContext") not in (None, record.inputs.get("restoreBackupContext")):
            raise ApiError("a restore into a running instance, which overwrites its data, is not simulated")
        before, after = (int(each["databaseVersion"].rpartition("_")[2]) for each in (record.inputs, new))
        if after < before:
            raise ApiError("400 the version of an instance can't be lowered")
        server = self.start(record)
        with refusing(self.failure):
            self.admit(Record(self.type, record.id, new, record.outputs))
            if new.get("rootPassword") and new["rootPassword"] != record.inputs.get("rootPassword"):
                server.sql(f"ALTER ROLE {ADMINISTRATOR} PASSWORD {quoted(new['rootPassword'])}")
        return {}

    @override
    def delete(self, record: Record) -> None:
        if record.inputs.get("deletionProtection", True):
            raise ApiError("cannot destroy instance without setting deletion_protection=false and running `pulumi up`")
        if record.inputs["settings"].get("deletionProtectionEnabled"):
            raise ApiError("400 the instance is protected: deletionProtectionEnabled is set")
        taken = None
        if record.inputs["settings"].get("retainBackupsOnDelete"):
            taken = self.take_backup(record, str(secrets.randbelow(10**12)))
        super().delete(record)
        if taken:
            Backups(self.account).publish(taken)
            self.engine.info(f"simulated: the account keeps a last backup of {record.id}")


def settings_failures(settings: Properties) -> list[Failure]:
    """Return conflicts between individually valid settings."""
    found = label_failures(settings.get("userLabels"), "settings.userLabels")
    edition, backups = settings.get("edition", "ENTERPRISE"), settings.get("backupConfiguration") or {}
    if bool(PLUS_TIER.fullmatch(settings["tier"])) != (edition == "ENTERPRISE_PLUS"):
        found.append(Failure("settings.tier", f"is {settings['tier']}, which edition {edition} does not have."))
    days = backups.get("transactionLogRetentionDays", 1)
    if not 1 <= days <= RECOVERY_DAYS[edition]:
        limit = f"is {days}, and must be from 1 to {RECOVERY_DAYS[edition]} with edition {edition}."
        found.append(Failure("settings.backupConfiguration.transactionLogRetentionDays", limit))
    address = settings.get("ipConfiguration") or {}
    if address.get("ipv4Enabled", True) or not address.get("privateNetwork"):
        private = "needs privateNetwork and ipv4Enabled false: public addresses are not simulated."
        found.append(Failure("settings.ipConfiguration", private))
    recoverable = backups.get("enabled") and backups.get("pointInTimeRecoveryEnabled")
    if settings.get("availabilityType") == "REGIONAL" and not recoverable:
        found.append(Failure("settings.availabilityType", "REGIONAL needs backups and point-in-time recovery."))
    return found


def _first_roles(password: str | None) -> str:
    """Return SQL for the roles that Cloud SQL creates (Cloud SQL documentation, PostgreSQL users)."""
    secret = f"PASSWORD {quoted(password)}" if password else ""
    return (
        f"CREATE ROLE {SUPERUSER} CREATEDB CREATEROLE;"
        f" CREATE ROLE {ADMINISTRATOR} LOGIN CREATEDB CREATEROLE IN ROLE {SUPERUSER} {secret};"
        f" ALTER DATABASE postgres OWNER TO {SUPERUSER}"
    )


def _certificate(server: Server) -> Properties:
    """Return the authority's certificate as the API lists it."""
    text = server.authority.certificate.read_text(encoding="utf-8")
    parsed: Any = x509.load_pem_x509_certificate(text.encode())
    return {
        "cert": text,
        "commonName": parsed.subject.rfc4514_string(),
        "createTime": milliseconds(parsed.not_valid_before_utc),
        "expirationTime": milliseconds(parsed.not_valid_after_utc),
        "sha1Fingerprint": parsed.fingerprint(hashes.SHA1()).hex(),  # noqa: S303 the API's choice
    }


class _InInstance(InServer, GoogleKind):
    """A resource inside an instance. With the policy ABANDON it is deleted only together with the instance."""

    module = "sql"
    api = "sqladmin"
    server_type = DatabaseInstance
    server_input = "instance"
    failure = "400"
    common_rules: ClassVar[Mapping[str, Rule]] = {
        **GoogleKind.common_rules,
        "name": matches(r"[^\"\0]{1,63}", "at most 63 characters long"),
        "type": one_of("BUILT_IN"),
        "deletionPolicy": one_of("ABANDON", "DELETE"),
    }
    references: ClassVar[Mapping[str, str]] = {"instance": "DatabaseInstance"}


class Database(_InInstance, ServerDatabase):
    """A database, owned by the role that all users created through the API share."""

    title = "database"
    owner = SUPERUSER
    replaces = ("name", "instance", "project")

    @override
    def new_id(self, inputs: Properties) -> str:
        return f"projects/{self.project(inputs)}/instances/{inputs['instance']}/databases/{inputs['name']}"

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        return {**super().create(id, inputs), "selfLink": LINK + id}


class User(_InInstance, ServerUser):
    """A user with a password."""

    title = "database user"
    unique_id = False  # creating one that exists sets its password
    replaces = ("name", "instance", "type", "project")
    write_only = frozenset({"password"})

    @override
    def new_id(self, inputs: Properties) -> str:
        return f"{inputs['name']}//{inputs['instance']}"

    @override
    def create(self, id: str, inputs: Properties) -> Properties:
        name, password = inputs["name"], inputs.get("password")
        # An interrupted attempt may have created it.
        existing = self.sql(inputs, f"SELECT 1 FROM pg_roles WHERE rolname = {quoted(name)}")  # noqa: S608 quoted
        verb = "ALTER" if existing else "CREATE"
        self.sql(inputs, f'{verb} ROLE "{name}" LOGIN CREATEDB CREATEROLE PASSWORD {quoted(password or "")}')
        self.sql(inputs, f'GRANT {SUPERUSER} TO "{name}"')
        return {}

    @override
    def update(self, record: Record, new: Properties) -> Properties:
        if new.get("password"):
            self.sql(new, f'ALTER ROLE "{new["name"]}" PASSWORD {quoted(new["password"])}')
        return {}
