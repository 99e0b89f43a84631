"""Grant the service's user the rights that PostgreSQL 15 and later no longer give by default."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pulumi
import pulumi_kubernetes as k8s

from components.component import Component
from components.fingerprint import fingerprint
from components.image_copy import copy_if_by_digest
from components.network_policies import PRIVATE_RANGES, database_client_policy
from components.pod import Labels
from components.psql import login_secret, psql_job, psql_pod
from contract.platform import Administrator, Database, Registry


@dataclass(frozen=True)
class DatabaseRightsArgs:
    """Who gets rights on which database, and how psql runs."""

    #: Name of the service.
    service: str
    #: Namespace of the Job.
    namespace: pulumi.Input[str]
    #: Connection of the user who gets the rights.
    database: Database
    #: The user who grants them.
    administrator: Administrator
    #: The stack's registry, into which a client image named by digest is copied.
    registry: Registry
    #: Image with psql.
    client_image: str
    #: Seconds that a rollout may take; the Job gets as long.
    rollout_timeout_seconds: int


class DatabaseRights(Component):
    """Rights of the service's user to create and use tables in schema ``public``.

    Creates a Secret with the administrator's login, a NetworkPolicy, and a Job that grants the rights from inside the
    cluster, because nothing else reaches the database. The Job runs again when the server, a user or a password
    changes; it is idempotent.
    """

    #: The database. Its host is known once the rights are granted, so whatever uses it waits.
    connection: Database

    def __init__(
        self,
        name: str,
        args: DatabaseRightsArgs,
        kubernetes: k8s.Provider,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("kubernetes:DatabaseRights", name, opts)
        self._args = args
        self._labels = Labels(app=f"{args.service}-db-rights", part_of=args.service)
        self._options = pulumi.ResourceOptions(parent=self, provider=kubernetes)
        administrator = args.administrator
        login = replace(args.database, user=administrator.user, password=administrator.password)
        granted = self._job(login_secret(self._labels, args.namespace, login, self._options))
        self.connection = replace(
            args.database, host=pulumi.Output.all(args.database.host, granted.id).apply(lambda values: values[0])
        )
        self.register_outputs({"host": self.connection.host})

    def _job(self, secret: k8s.core.v1.Secret) -> k8s.batch.v1.Job:
        database = self._args.database
        statements = pulumi.Output.all(database.name, database.user).apply(lambda values: grants(*values))
        return psql_job(
            "database-rights",
            self._labels,
            self._args.namespace,
            # Every cloud that grants rights has a server without a public address.
            database_client_policy(
                "database-rights", self._labels, self._args.namespace, database.port, self._options, PRIVATE_RANGES
            ),
            {"addressbook/settings-fingerprint": self._fingerprint()},
            psql_pod(
                "grant",
                copy_if_by_digest(self._args.client_image, self._args.registry, self._args.service, parent=self),
                [pulumi.Output.concat("--command=", statements)],
                secret,
                verified=database.ca is not None,
                pull_secret=self._args.registry.pull_secret,
            ),
            self._args.rollout_timeout_seconds,
            self._options,
        )

    def _fingerprint(self) -> pulumi.Output[str]:
        """Return a value that also changes if a user is recreated under the same name and has lost its rights."""
        database, administrator = self._args.database, self._args.administrator
        return fingerprint(
            administrator.password, {"host": database.host, "user": database.user, "password": database.password}
        )


def grants(database: str, user: str) -> str:
    """Return idempotent SQL that grants the user what a service needs of its database."""
    return (
        f"GRANT CONNECT, TEMPORARY ON DATABASE {_quoted(database)} TO {_quoted(user)};"
        f" GRANT USAGE, CREATE ON SCHEMA public TO {_quoted(user)}"
    )


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'
