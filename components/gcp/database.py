"""A managed PostgreSQL (Cloud SQL) on a private address, reached by the name in its certificate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_gcp as gcp
import pulumi_random as random

from components.component import Component
from components.gcp.authorities import authorities
from components.random_name import random_name
from components.restored_server import kept_inputs, suffix
from contract.platform import Administrator, Database

DATABASE_NAME = "demo"
DATABASE_USER = "demouser"
#: The server's own user.
ADMINISTRATOR = "postgres"
POSTGRES_PORT = 5432
PASSWORD_LENGTH = 32
BACKUPS_KEPT = 14
#: Days of point-in-time recovery; edition Enterprise allows at most 7.
RECOVERY_DAYS = 7
FINAL_BACKUP_DAYS = 30
RECORD_TTL_SECONDS = 300
#: Domain of instances with private services access, after their region (Cloud SQL documentation, TLS).
PRIVATE_DOMAIN = "sql-psa.goog"
#: Machine types with this prefix belong to edition Enterprise Plus, all others to Enterprise.
PLUS_FAMILY = "db-perf-optimized-"


@dataclass(frozen=True)
class ManagedDatabaseArgs:
    """Version, size, network and protection of the database."""

    #: Prefix of the server's name.
    name: str
    region: str
    #: Major version of PostgreSQL.
    version: str
    #: Machine type.
    size: str
    #: Whether a second server in another zone takes over if the first fails.
    standby: bool
    #: Id of the VPC.
    network: pulumi.Input[str]
    #: Whether other stacks may have a database in the network.
    network_is_shared: bool
    #: What gives the server an address in the network.
    private_services: Sequence[pulumi.Resource]
    #: Day of the week (Monday is 1) and hour (UTC).
    maintenance: tuple[int, int]
    labels: dict[str, str]
    #: Enabled APIs to wait for.
    services: Sequence[pulumi.Input[pulumi.Resource]]
    #: Whether the engine and Cloud SQL refuse to delete the server.
    protect: bool
    #: Whether a last backup and the earlier ones outlive the server.
    final_backup: bool
    #: The backup that the server begins from: ``server``, and ``backup``, or ``time`` and ``deleted``. Empty: none.
    restore: Mapping[str, str]
    #: Whether the server was once made from a backup. It has the database and its users from there.
    restored: bool


class ManagedDatabase(Component):
    """PostgreSQL without a public address, with TLS and daily backups.

    Its certificate, from Google's shared authority, contains a DNS name that clients verify. Google does not publish
    that name, so a private zone of the network does. Creates the instance, zone and record, the database and the
    service's user.
    """

    #: Connection of the service's user.
    connection: Database
    #: The server's own user.
    administrator: Administrator

    def __init__(self, name: str, args: ManagedDatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gcp:Database", name, opts)
        self._args = args
        self._options = pulumi.ResourceOptions(parent=self)
        administrator_password = self._password("database-administrator")
        server = self._server(administrator_password)
        user = self._user("database-user", server, DATABASE_USER, self._password("database-user"))
        ready: list[pulumi.Resource] = []
        if args.restored:
            # The backup's password, which may be another stack's. Root passwords apply to new servers only.
            ready.append(self._user("database-administrator", server, ADMINISTRATOR, administrator_password))
        else:
            ready.append(self._database(server))
        self.connection = Database(
            host=pulumi.Output.all(self._record(server).name, *(each.urn for each in ready)).apply(
                lambda values: values[0].rstrip(".")
            ),
            port=POSTGRES_PORT,
            name=DATABASE_NAME,
            user=user.name,
            password=pulumi.Output.secret(user.password.apply(lambda text: text or "")),
            ssl=True,
            ca=authorities(server),
        )
        self.administrator = Administrator(user=ADMINISTRATOR, password=administrator_password)
        self.register_outputs({"host": self.connection.host})

    def _database(self, server: gcp.sql.DatabaseInstance) -> gcp.sql.Database:
        """Declare the database. PostgreSQL refuses to drop one in use, so it is deleted with the server."""
        return gcp.sql.Database(
            "database",
            name=DATABASE_NAME,
            instance=server.name,
            deletion_policy="ABANDON",
            opts=pulumi.ResourceOptions(parent=self, protect=self._args.protect),
        )

    def _user(
        self, resource: str, server: gcp.sql.DatabaseInstance, name: str, password: pulumi.Output[str]
    ) -> gcp.sql.User:
        """Declare a user, or set the password of an existing one. Users who own tables are deleted with the server."""
        return gcp.sql.User(
            resource,
            name=name,
            instance=server.name,
            password=password,
            deletion_policy="ABANDON",
            opts=self._options,
        )

    def _password(self, name: str) -> pulumi.Output[str]:
        password = random.RandomPassword(name, length=PASSWORD_LENGTH, special=False, opts=self._options)
        return pulumi.Output.secret(password.result)

    def _server(self, administrator_password: pulumi.Output[str]) -> gcp.sql.DatabaseInstance:
        """Declare the server under a random name: Cloud SQL blocks the name of a deleted one for a week."""
        args, restore = self._args, self._args.restore
        replaced_with = {"region": args.region, **({"restore": suffix(restore)} if restore else {})}
        name_options = pulumi.ResourceOptions(parent=self, ignore_changes=kept_inputs(restore, "keepers.restore"))
        return gcp.sql.DatabaseInstance(
            args.name,
            name=random_name("database-name", args.name, replaced_with, name_options),
            **_origin(restore),
            region=args.region,
            database_version=f"POSTGRES_{args.version}",
            root_password=administrator_password,
            deletion_protection=args.protect,
            settings=self._settings(),
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.protect,
                depends_on=[*args.private_services, *args.services],
                ignore_changes=kept_inputs(restore, "clone", "restoreBackupContext"),
                delete_before_replace=False,
            ),
        )

    def _settings(self) -> gcp.sql.DatabaseInstanceSettingsArgsDict:
        args = self._args
        day, hour = args.maintenance
        return {
            "tier": args.size,
            "edition": "ENTERPRISE_PLUS" if args.size.startswith(PLUS_FAMILY) else "ENTERPRISE",
            "availability_type": "REGIONAL" if args.standby else "ZONAL",
            "disk_type": "PD_SSD",
            "disk_autoresize": True,
            "ip_configuration": {
                "ipv4_enabled": False,
                "private_network": args.network,
                "ssl_mode": "ENCRYPTED_ONLY",
                "server_ca_mode": "GOOGLE_MANAGED_CAS_CA",
                # Certificates of that authority expire after a year.
                "server_certificate_rotation_mode": "AUTOMATIC_ROTATION_DURING_MAINTENANCE",
            },
            "backup_configuration": {
                "enabled": True,
                "point_in_time_recovery_enabled": True,
                "transaction_log_retention_days": RECOVERY_DAYS,
                "backup_retention_settings": {"retained_backups": BACKUPS_KEPT, "retention_unit": "COUNT"},
            },
            "maintenance_window": {"day": day, "hour": hour, "update_track": "stable"},
            # Also protects it from console, gcloud and API.
            "deletion_protection_enabled": args.protect,
            "retain_backups_on_delete": args.final_backup,
            "final_backup_config": {"enabled": True, "retention_days": FINAL_BACKUP_DAYS}
            if args.final_backup
            else {"enabled": False},
            "user_labels": args.labels,
        }

    def _record(self, server: gcp.sql.DatabaseInstance) -> gcp.dns.RecordSet:
        name = server.dns_names.apply(private_name)
        # A network has one private zone of a name, and the most specific zone answers (Cloud DNS documentation,
        # Overlapping zones). So in a shared network each stack has a zone for its own server only. That zone has a name
        # of its own, so that it replaces a zone of the region before that one is deleted.
        zone_name, origin = f"{self._args.name}-database", f"{self._args.region}.{PRIVATE_DOMAIN}."
        if self._args.network_is_shared:
            zone_name, origin = f"{zone_name}-server", name
        zone = gcp.dns.ManagedZone(
            "database-zone",
            name=zone_name,
            dns_name=origin,
            description=f"Name of the database, Pulumi project {pulumi.get_project()}, stack {pulumi.get_stack()}",
            visibility="private",
            private_visibility_config={"networks": [{"network_url": self._args.network}]},
            labels=self._args.labels,
            opts=pulumi.ResourceOptions(parent=self, depends_on=self._args.services),
        )
        return gcp.dns.RecordSet(
            "database",
            managed_zone=zone.name,
            name=name,
            type="A",
            ttl=RECORD_TTL_SECONDS,
            rrdatas=[server.private_ip_address],
            opts=self._options,
        )


def _origin(restore: Mapping[str, str]) -> dict[str, Any]:
    """Return the inputs that name the backup. A point in time is a clone of the server, also of a deleted one."""
    if not restore:
        return {}
    server = restore["server"]
    if "backup" in restore:
        return {"restore_backup_context": {"backup_run_id": int(restore["backup"]), "instance_id": server}}
    times = {"time": "point_in_time", "deleted": "source_instance_deletion_time"}
    return {
        "clone": {
            "source_instance_name": server,
            **{name: restore[part] for part, name in times.items() if part in restore},
        }
    }


def private_name(names: Sequence[gcp.sql.outputs.DatabaseInstanceDnsName]) -> str:
    """Return the fully qualified name (with its last dot) of the server's private address.

    Raises pulumi.RunError if there is none, because clients could not verify the server's certificate.
    """
    for name in names:
        if (name.connection_type, name.dns_scope) == ("PRIVATE_SERVICES_ACCESS", "INSTANCE") and name.name:
            return f"{name.name.rstrip('.')}."
    raise pulumi.RunError(
        "the database's server has no DNS name for private services access, so its certificate could not be verified;"
        " set its server CA mode to GOOGLE_MANAGED_CAS_CA and check dnsNames in `gcloud sql instances describe NAME`"
    )
