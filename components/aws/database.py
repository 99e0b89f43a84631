"""A managed PostgreSQL (RDS) in the private subnets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from components.component import Component
from contract.platform import Database

#: The server's first database, and its administrator: what the service uses on this cloud, as in the book.
DATABASE_NAME = "postgres"
DATABASE_USER = "postgres"
PORT = 5432
PASSWORD_LENGTH = 32
#: GiB of storage; AWS adds to it by itself, up to the second figure.
STORAGE_GIB, MOST_STORAGE_GIB = 20, 100
#: Days that daily backups and the log of changes are kept: any second of them can be restored.
BACKUP_DAYS = 7
#: Certificates come from this authority; it is good until 2061, and each region has its own.
AUTHORITY = "rds-ca-rsa2048-g1"
LOGS = ("postgresql", "upgrade")
LOG_DAYS = 90


@dataclass(frozen=True)
class ManagedDatabaseArgs:
    """``version`` is a major one of PostgreSQL; ``size`` an instance class.

    ``clients`` is the security group that may connect. ``maintenance`` is weekday and hour (UTC). ``authority``: PEM
    text of the region's certificate authority. ``keep``: a snapshot, and the backups, outlive the instance.
    """

    name: str
    version: str
    size: str
    standby: bool
    vpc: pulumi.Input[str]
    subnets: Sequence[pulumi.Input[str]]
    clients: pulumi.Input[str]
    maintenance: tuple[str, int]
    authority: str
    protect: bool
    keep: bool


class ManagedDatabase(Component):
    """PostgreSQL that the nodes alone reach, over verified TLS, encrypted at rest, with backups.

    Makes the instance, its subnet group, security group, parameters, logs and password. Outputs ``connection``.
    """

    connection: Database

    def __init__(self, name: str, args: ManagedDatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("aws:Database", name, opts)
        self._args = args
        self._options = pulumi.ResourceOptions(parent=self)
        guard, rule = self._guard()
        password = random.RandomPassword(
            # RDS refuses some punctuation; the length makes up for it.
            "database-password",
            length=PASSWORD_LENGTH,
            special=False,
            opts=self._options,
        ).result
        server = self._server(guard, password)
        self.connection = Database(
            # Known once the server lets the nodes in.
            host=pulumi.Output.all(server.address, rule.id).apply(lambda known: known[0]),
            port=server.port,
            name=DATABASE_NAME,
            user=DATABASE_USER,
            password=pulumi.Output.secret(password),
            ssl=True,
            ca=args.authority,
        )
        self.register_outputs({"host": self.connection.host})

    def _guard(self) -> tuple[aws.ec2.SecurityGroup, aws.vpc.SecurityGroupIngressRule]:
        """PostgreSQL's port for the nodes, nothing else, and no connection from the server."""
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

    def _server(self, guard: aws.ec2.SecurityGroup, password: pulumi.Output[str]) -> aws.rds.Instance:
        args = self._args
        day, hour = args.maintenance
        return aws.rds.Instance(
            "database",
            identifier=args.name,
            engine="postgres",
            engine_version=args.version,
            # A new major version is a change of the config, never AWS's; minor ones are AWS's, in the window.
            allow_major_version_upgrade=True,
            auto_minor_version_upgrade=True,
            instance_class=args.size,
            multi_az=args.standby,
            storage_type="gp3",
            allocated_storage=STORAGE_GIB,
            max_allocated_storage=MOST_STORAGE_GIB,
            # With the account's own RDS key: one of the stack's would go with it, and the last snapshot with the key.
            storage_encrypted=True,
            username=DATABASE_USER,
            password=password,
            port=PORT,
            db_subnet_group_name=self._subnet_group().name,
            vpc_security_group_ids=[guard.id],
            publicly_accessible=False,
            parameter_group_name=self._parameters().name,
            ca_cert_identifier=AUTHORITY,
            backup_retention_period=BACKUP_DAYS,
            # Half an hour each, as RDS wants them: a day apart never meets.
            maintenance_window=f"{day[:3]}:{hour:02}:00-{day[:3]}:{hour:02}:30",
            backup_window=f"{(hour + 22) % 24:02}:00-{(hour + 22) % 24:02}:30",
            copy_tags_to_snapshot=True,
            delete_automated_backups=not args.keep,
            skip_final_snapshot=not args.keep,
            final_snapshot_identifier=self._last_snapshot() if args.keep else None,
            deletion_protection=args.protect,
            enabled_cloudwatch_logs_exports=list(LOGS),
            # A size that the config says is the size that runs, not one that comes with the next window.
            apply_immediately=True,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect, depends_on=self._logs()),
        )

    def _subnet_group(self) -> aws.rds.SubnetGroup:
        return aws.rds.SubnetGroup("database", name=self._args.name, subnet_ids=self._args.subnets, opts=self._options)

    def _parameters(self) -> aws.rds.ParameterGroup:
        """Its name is generated: an upgrade needs the next version's group beside this one."""
        return aws.rds.ParameterGroup(
            "database",
            family=f"postgres{self._args.version}",
            description=f"PostgreSQL {self._args.version} of {self._args.name}",
            parameters=[{"name": "rds.force_ssl", "value": "1", "apply_method": "immediate"}],
            opts=self._options,
        )

    def _last_snapshot(self) -> pulumi.Output[str]:
        """A name that the last snapshot of an earlier stack of this name doesn't have already."""
        suffix = random.RandomString("last-snapshot", length=6, special=False, upper=False, opts=self._options)
        return pulumi.Output.concat(self._args.name, "-final-", suffix.result)

    def _logs(self) -> list[pulumi.Resource]:
        """Made beforehand, else RDS makes them, to be kept for ever."""
        return [
            aws.cloudwatch.LogGroup(
                f"database-log-{kind}",
                name=f"/aws/rds/instance/{self._args.name}/{kind}",
                retention_in_days=LOG_DAYS,
                opts=self._options,
            )
            for kind in LOGS
        ]
