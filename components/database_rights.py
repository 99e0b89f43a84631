"""The rights on its database that PostgreSQL 15 and later no longer give a user by default."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pulumi
import pulumi_kubernetes as k8s

from components.component import Component
from components.fingerprint import fingerprint
from components.pod import Labels
from components.psql import client_image, login_secret, psql_job, psql_pod
from contract.platform import Administrator, Database, Registry


@dataclass(frozen=True)
class DatabaseRightsArgs:
    """``database`` is the connection of the user who gets the rights; ``administrator`` gives them.

    ``client_image``: for its psql; named by digest, it is copied into the ``registry`` first.
    """

    service: str
    namespace: pulumi.Input[str]
    database: Database
    administrator: Administrator
    registry: Registry
    client_image: str


class DatabaseRights(Component):
    """Lets the service's user make and use tables in schema ``public``.

    Makes a Secret with the administrator's login and a Job that grants the rights from inside the cluster, the only
    place that reaches the database; it is run anew when server, users or passwords change, and may run any number of
    times. Outputs ``connection``: the database, known once the rights are given, so that whoever uses it waits.
    """

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
            args.database, host=pulumi.Output.all(args.database.host, granted.id).apply(lambda known: known[0])
        )
        self.register_outputs({"host": self.connection.host})

    def _job(self, secret: k8s.core.v1.Secret) -> k8s.batch.v1.Job:
        database = self._args.database
        statements = pulumi.Output.all(database.name, database.user).apply(lambda known: grants(known[0], known[1]))
        return psql_job(
            "database-rights",
            {"namespace": self._args.namespace, "labels": self._labels.all},
            {"addressbook/settings-fingerprint": self._fingerprint()},
            psql_pod(
                "grant",
                client_image(self._args.client_image, self._args.registry, self._args.service, parent=self),
                [pulumi.Output.concat("--command=", statements)],
                secret,
                verified=database.ca is not None,
            ),
            self._options,
        )

    def _fingerprint(self) -> pulumi.Output[str]:
        """Changes when a user was made anew, who then has no rights although the name is the same."""
        database, administrator = self._args.database, self._args.administrator
        return fingerprint(
            administrator.password, {"host": database.host, "user": database.user, "password": database.password}
        )


def grants(database: str, user: str) -> str:
    """SQL that gives the user what a service needs of its database; the same again changes nothing."""
    return (
        f"GRANT CONNECT, TEMPORARY ON DATABASE {_quoted(database)} TO {_quoted(user)};"
        f" GRANT USAGE, CREATE ON SCHEMA public TO {_quoted(user)}"
    )


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'
