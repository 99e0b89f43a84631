"""A managed PostgreSQL on the private network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_digitalocean as digitalocean

from components.component import Component
from components.invokes import or_explain
from contract.platform import Administrator, Database

DATABASE_NAME = "demo"
DATABASE_USER = "demouser"
#: When the disk grows, and by how much: the API's own defaults (API reference, Databases). What the size can have is
#: the limit; the API takes no other.
GROWS_AT_PERCENT, GROWS_BY_GIB = 80, 10


@dataclass(frozen=True)
class ManagedDatabaseArgs:
    """``nodes``: 1, or 2 with a standby; ``client`` is the id of the only cluster that may connect.

    ``maintenance`` is weekday and time of day (UTC).
    """

    name: str
    region: str
    version: str
    size: str
    nodes: int
    vpc: pulumi.Input[str]
    client: pulumi.Input[str]
    maintenance: tuple[str, str]
    tags: Sequence[str]
    protect: bool


class ManagedDatabase(Component):
    """PostgreSQL that only one cluster reaches, over TLS, with daily backups kept by the provider.

    Makes the database cluster, its firewall, the database and the service's user. Outputs ``connection`` (of the
    service's user, who has no rights on the schema yet) and ``administrator``; passwords are secrets.
    """

    connection: Database
    administrator: Administrator

    def __init__(self, name: str, args: ManagedDatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("digitalocean:Database", name, opts)
        day, hour = args.maintenance
        server = digitalocean.DatabaseCluster(
            "database",
            name=args.name,
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
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        firewall = digitalocean.DatabaseFirewall(
            "database-firewall",
            cluster_id=server.id,
            rules=[{"type": "k8s", "value": args.client}],
            opts=pulumi.ResourceOptions(parent=self),
        )
        # A server without firewall rules takes connections from anywhere: nothing is in it then, coming or going.
        guarded = pulumi.ResourceOptions(parent=self, depends_on=[firewall])
        user = digitalocean.DatabaseUser("database-user", cluster_id=server.id, name=DATABASE_USER, opts=guarded)
        database = digitalocean.DatabaseDb(
            "database",
            cluster_id=server.id,
            name=DATABASE_NAME,
            # After the user, so that it is deleted before: a user who owns tables can't be.
            opts=pulumi.ResourceOptions.merge(guarded, pulumi.ResourceOptions(protect=args.protect, depends_on=[user])),
        )
        authority = or_explain(
            digitalocean.get_database_ca_output(cluster_id=server.id, opts=pulumi.InvokeOutputOptions(parent=self)),
            "certificate of the database's authority",
            "`doctl databases get-ca ID` asks for the same; repeat the command once it answers",
        )
        self.connection = Database(
            host=server.private_host,
            port=server.port,
            name=database.name,
            user=user.name,
            password=pulumi.Output.secret(user.password),
            ssl=True,
            ca=authority.certificate,
        )
        self.administrator = Administrator(user=server.user, password=pulumi.Output.secret(server.password))
        self.register_outputs({"host": self.connection.host})
