"""A managed PostgreSQL on the private network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_digitalocean as digitalocean

from components.component import Component
from components.digitalocean.live import ONLINE, LiveVersion, look_at_database
from components.digitalocean.waiting import upgraded
from components.invokes import or_explain
from components.restored_server import kept_inputs, restored_name
from contract.platform import Administrator, Database

DATABASE_NAME = "demo"
DATABASE_USER = "demouser"
#: When the disk grows (percent used) and by how much (GiB): the API's defaults (API reference, Databases). The limit
#: is that of the size.
GROWS_AT_PERCENT, GROWS_BY_GIB = 80, 10


@dataclass(frozen=True)
class ManagedDatabaseArgs:
    """Version, size, network and protection of the database."""

    name: str
    region: str
    #: Major version of PostgreSQL.
    version: str
    #: What runs already; None if the server does not exist. A newer version stays.
    live: LiveVersion | None
    #: Size slug of each node.
    size: str
    #: 1, or 2 with a standby.
    nodes: int
    #: Id of the VPC.
    vpc: pulumi.Input[str]
    #: Id of the only cluster that may connect.
    client: pulumi.Input[str]
    #: Weekday and time of day (UTC).
    maintenance: tuple[str, str]
    tags: Sequence[str]
    protect: bool
    #: The backup that the server begins from: ``server`` and perhaps ``time``. Empty: none.
    restore: Mapping[str, str]
    #: Whether the server was once made from a backup. It has the database and the user from there.
    restored: bool


class ManagedDatabase(Component):
    """PostgreSQL that only one cluster can reach, with TLS and the provider's daily backups.

    Creates the database cluster, its firewall, the database and the service's user.
    """

    #: Connection of the service's user, who has no rights on the schema yet.
    connection: Database
    #: The server's own user.
    administrator: Administrator

    def __init__(self, name: str, args: ManagedDatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("digitalocean:Database", name, opts)
        self._args = args
        server = self._server()
        firewall = digitalocean.DatabaseFirewall(
            "database-firewall",
            cluster_id=server.id,
            rules=[{"type": "k8s", "value": args.client}],
            opts=pulumi.ResourceOptions(parent=self),
        )
        authority = or_explain(
            digitalocean.get_database_ca_output(cluster_id=server.id, opts=pulumi.InvokeOutputOptions(parent=self)),
            "certificate of the database's authority",
            "run the command again once `doctl databases get-ca ID` succeeds",
        )
        database, user, password = self._restored(server) if args.restored else self._created(server, firewall)
        self.connection = Database(
            # Without firewall rules the server accepts any connection, so nobody gets its host before.
            host=pulumi.Output.all(server.private_host, firewall.id, self._ready(server)).apply(
                lambda values: values[0]
            ),
            port=server.port,
            name=database,
            user=user,
            password=pulumi.Output.secret(password),
            ssl=True,
            ca=authority.certificate,
        )
        self.administrator = Administrator(user=server.user, password=pulumi.Output.secret(server.password))
        self.register_outputs({"host": self.connection.host})

    def _ready(self, server: digitalocean.DatabaseCluster) -> pulumi.Output[str]:
        """Return the server's id, once it has the configured version if this update upgrades it."""
        live, wanted = self._args.live, self._args.version
        upgrades = live is not None and not live.reaches(wanted)
        return upgraded(server.id, wanted, ONLINE, look_at_database) if upgrades else server.id

    def _server(self) -> digitalocean.DatabaseCluster:
        args = self._args
        day, hour = args.maintenance
        restore = args.restore
        return digitalocean.DatabaseCluster(
            "database",
            name=restored_name(args.name, restore),
            backup_restore=_backup(restore),
            region=args.region,
            engine="pg",
            version=args.version,
            size=args.size,
            node_count=args.nodes,
            private_network_uuid=args.vpc,
            storage_autoscale={
                "enabled": True,
                "threshold_percent": GROWS_AT_PERCENT,
                "increment_gib": GROWS_BY_GIB,
            },
            maintenance_windows=[{"day": day, "hour": hour}],
            tags=list(args.tags),
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.protect,
                ignore_changes=[
                    *kept_inputs(restore, "name", "backupRestore"),
                    # The API refuses a lower version, and an upgrade that is not done yet would be sent again.
                    *(["version"] if args.live and args.live.reaches(args.version) else []),
                ],
                # The backups of a server are deleted with it, and the new one is made from them.
                delete_before_replace=False if restore else None,
            ),
        )

    def _created(
        self, server: digitalocean.DatabaseCluster, firewall: digitalocean.DatabaseFirewall
    ) -> tuple[pulumi.Output[str], pulumi.Output[str], pulumi.Output[str]]:
        """Declare the database and its user; return their names and the password."""
        # Without firewall rules the server accepts any connection. User and database exist only while it has them.
        guarded = pulumi.ResourceOptions(parent=self, depends_on=[firewall])
        user = digitalocean.DatabaseUser("database-user", cluster_id=server.id, name=DATABASE_USER, opts=guarded)
        database = digitalocean.DatabaseDb(
            "database",
            cluster_id=server.id,
            name=DATABASE_NAME,
            # Created after the user, so deleted before it: a user who owns tables cannot be deleted.
            opts=pulumi.ResourceOptions.merge(
                guarded, pulumi.ResourceOptions(protect=self._args.protect, depends_on=[user])
            ),
        )
        return database.name, user.name, user.password

    def _restored(
        self, server: digitalocean.DatabaseCluster
    ) -> tuple[pulumi.Output[str], pulumi.Output[str], pulumi.Output[str]]:
        """Read the user that came with the backup: the API refuses to create what exists."""
        user = or_explain(
            digitalocean.get_database_user_output(
                cluster_id=server.id, name=DATABASE_USER, opts=pulumi.InvokeOutputOptions(parent=self)
            ),
            f"user {DATABASE_USER} of the restored database",
            "name a backup that a stack of this program made (databaseRestore)",
        )
        return pulumi.Output.from_input(DATABASE_NAME), user.name, user.password


def _backup(restore: Mapping[str, str]) -> digitalocean.DatabaseClusterBackupRestoreArgsDict | None:
    """Return the backup in the provider's form; None for a server that begins empty."""
    if not restore:
        return None
    backup: digitalocean.DatabaseClusterBackupRestoreArgsDict = {"database_name": restore["server"]}
    if "time" in restore:
        backup["backup_created_at"] = restore["time"]
    return backup
