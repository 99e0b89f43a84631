"""A managed PostgreSQL (RDS) in the private subnets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from components.aws.versions import major, number, satisfies
from components.component import Component
from components.restored_server import kept_inputs, restored_name, suffix
from contract.platform import Database

#: The server's first database and its administrator. The service uses both on this cloud.
DATABASE_NAME = "postgres"
DATABASE_USER = "postgres"
PORT = 5432
PASSWORD_LENGTH = 32
#: Issuer of the certificates, valid until 2061. Each region has its own.
AUTHORITY = "rds-ca-rsa2048-g1"
LOGS = ("postgresql", "upgrade")
LOG_DAYS = 90
#: Id of an instance that no other instance ever has, unlike its identifier.
RESOURCE_ID = re.compile(r"^db-[A-Z0-9]{20,}$")


@dataclass(frozen=True)
class ManagedDatabaseArgs:
    """Version, size, network and protection of the database."""

    name: str
    #: Version of PostgreSQL, with or without its minor version.
    version: str
    #: The version that runs, with its minor version; empty if there is no server yet.
    live_version: str
    #: Instance class.
    size: str
    #: Whether a second server in another zone takes over if the first fails.
    standby: bool
    #: Id of the VPC.
    vpc: pulumi.Input[str]
    #: Ids of the private subnets.
    subnets: Sequence[pulumi.Input[str]]
    #: Id of the security group that may connect.
    clients: pulumi.Input[str]
    #: GiB of storage at first, and the limit to which AWS extends it.
    storage: int
    max_storage: int
    #: Days of point-in-time recovery.
    backup_days: int
    #: Weekday and hour (UTC).
    maintenance: tuple[str, int]
    #: PEM text of the region's certificate authority.
    authority: str
    #: Whether the engine and AWS refuse to delete the instance. Without it, the server's logs are not published.
    protect: bool
    #: Whether a last snapshot and the backups outlive the instance.
    final_snapshot: bool
    #: The backup that the instance begins from: ``snapshot``, or ``server`` and perhaps ``time``. Empty: none.
    restore: Mapping[str, str]


class ManagedDatabase(Component):
    """PostgreSQL that only the nodes can reach, with verified TLS, encryption at rest and backups.

    Creates the instance, its subnet group, security group, parameters, logs and password.
    """

    #: Its host is known once the server admits the nodes.
    connection: Database

    def __init__(self, name: str, args: ManagedDatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("aws:Database", name, opts)
        self._args = args
        self._identifier = restored_name(args.name, args.restore)
        self._options = pulumi.ResourceOptions(parent=self)
        group, rule = self._security_group()
        password = random.RandomPassword(
            # RDS refuses some punctuation. The length makes up for it.
            "database-password",
            length=PASSWORD_LENGTH,
            special=False,
            opts=self._options,
        ).result
        server = self._server(group, password)
        self.connection = Database(
            host=pulumi.Output.all(server.address, rule.id).apply(lambda values: values[0]),
            port=server.port,
            name=DATABASE_NAME,
            user=DATABASE_USER,
            password=pulumi.Output.secret(password),
            ssl=True,
            ca=args.authority,
        )
        self.register_outputs({"host": self.connection.host})

    def _security_group(self) -> tuple[aws.ec2.SecurityGroup, aws.vpc.SecurityGroupIngressRule]:
        """Allow connections from the nodes to PostgreSQL's port, and nothing else in or out."""
        group = aws.ec2.SecurityGroup(
            "database",
            description="PostgreSQL from the nodes of the cluster",
            vpc_id=self._args.vpc,
            tags={"Name": f"{self._args.name}-database"},
            opts=self._options,
        )
        rule = aws.vpc.SecurityGroupIngressRule(
            "database-clients",
            description="nodes of the cluster",
            security_group_id=group.id,
            referenced_security_group_id=self._args.clients,
            ip_protocol="tcp",
            from_port=PORT,
            to_port=PORT,
            opts=self._options,
        )
        return group, rule

    def _server(self, group: aws.ec2.SecurityGroup, password: pulumi.Output[str]) -> aws.rds.Instance:
        args = self._args
        day, hour = args.maintenance
        return aws.rds.Instance(
            "database",
            identifier=self._identifier,
            **_origin(args.restore),
            engine="postgres",
            engine_version=args.version,
            # Major upgrades come from the config only. AWS applies minor ones in the maintenance window.
            allow_major_version_upgrade=True,
            auto_minor_version_upgrade=True,
            instance_class=args.size,
            multi_az=args.standby,
            storage_type="gp3",
            allocated_storage=args.storage,
            max_allocated_storage=args.max_storage,
            # With the account's RDS key: `destroy` would delete a key of the stack, and the last snapshot needs it.
            storage_encrypted=True,
            username=DATABASE_USER,
            password=password,
            port=PORT,
            db_subnet_group_name=self._subnet_group().name,
            vpc_security_group_ids=[group.id],
            publicly_accessible=False,
            parameter_group_name=self._parameters().name,
            ca_cert_identifier=AUTHORITY,
            backup_retention_period=args.backup_days,
            # RDS requires 30 minutes each, and windows that do not overlap.
            maintenance_window=f"{day[:3]}:{hour:02}:00-{day[:3]}:{hour:02}:30",
            backup_window=f"{(hour + 22) % 24:02}:00-{(hour + 22) % 24:02}:30",
            copy_tags_to_snapshot=True,
            delete_automated_backups=not args.final_snapshot,
            skip_final_snapshot=not args.final_snapshot,
            final_snapshot_identifier=self._last_snapshot() if args.final_snapshot else None,
            deletion_protection=args.protect,
            # Stopped before the deletion: what RDS still had to write would create the log groups again.
            enabled_cloudwatch_logs_exports=list(LOGS) if args.protect else [],
            # Otherwise a new size would wait for the next maintenance window.
            apply_immediately=True,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.protect,
                depends_on=self._logs(),
                # The provider waits 80 minutes by default, and an upgrade copies what a large database holds.
                custom_timeouts=pulumi.CustomTimeouts(update="170m"),
                ignore_changes=[
                    # AWS upgrades by itself, and refuses to go back to the version in the config.
                    *(["engineVersion"] if satisfies(args.live_version, args.version) else []),
                    *kept_inputs(args.restore, "identifier", "snapshotIdentifier", "restoreToPointInTime"),
                ],
                # The backup may be of the server that is replaced, and a wrong one must not cost the running server.
                delete_before_replace=False if args.restore else None,
            ),
        )

    def _subnet_group(self) -> aws.rds.SubnetGroup:
        return aws.rds.SubnetGroup("database", name=self._args.name, subnet_ids=self._args.subnets, opts=self._options)

    def _parameters(self) -> aws.rds.ParameterGroup:
        """Declare the parameters under a generated name: during an upgrade both versions' groups exist."""
        version = major(max(self._args.live_version, self._args.version, key=number))
        return aws.rds.ParameterGroup(
            "database",
            family=f"postgres{version}",
            description=f"PostgreSQL {version} of {self._args.name}",
            parameters=[{"name": "rds.force_ssl", "value": "1", "apply_method": "immediate"}],
            opts=self._options,
        )

    def _last_snapshot(self) -> pulumi.Output[str]:
        """Return a name that no last snapshot of an earlier stack of this name has."""
        restore = self._args.restore
        last = random.RandomString(
            "last-snapshot",
            length=6,
            special=False,
            upper=False,
            # The server that a restored one replaces leaves a last snapshot, too.
            keepers={"restore": suffix(restore)} if restore else None,
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=kept_inputs(restore, "keepers")),
        )
        return pulumi.Output.concat(self._args.name, "-final-", last.result)

    def _logs(self) -> list[pulumi.Resource]:
        """Declare the log groups before the server: RDS would create ones that never expire."""
        return [
            aws.cloudwatch.LogGroup(
                f"database-log-{kind}",
                name=f"/aws/rds/instance/{self._identifier}/{kind}",
                retention_in_days=LOG_DAYS,
                opts=pulumi.ResourceOptions(
                    parent=self,
                    ignore_changes=kept_inputs(self._args.restore, "name"),
                    delete_before_replace=False if self._args.restore else None,
                ),
            )
            for kind in LOGS
        ]


def _origin(restore: Mapping[str, str]) -> dict[str, Any]:
    """Return the inputs that name the backup. RDS knows a deleted instance by its resource id only."""
    if "snapshot" in restore:
        return {"snapshot_identifier": restore["snapshot"]}
    if "server" not in restore:
        return {}
    server, time = restore["server"], restore.get("time")
    return {
        "restore_to_point_in_time": {
            "source_dbi_resource_id" if RESOURCE_ID.match(server) else "source_db_instance_identifier": server,
            **({"restore_time": time} if time else {"use_latest_restorable_time": True}),
        }
    }
