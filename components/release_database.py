"""A release stack's own database, in the shared platform's PostgreSQL server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random

from components.cleanup_on_destroy import CleanupOnDestroy, CleanupOnDestroyArgs
from components.component import Component
from components.fingerprint import fingerprint
from components.image_copy import copy_if_by_digest
from components.network_policies import PRIVATE_RANGES, database_client_policy
from components.pod import Labels
from components.psql import AUTHORITY, FILES, login_secret, psql_job, psql_pod
from contract.platform import ClusterAccess, Database, Registry

PASSWORD_LENGTH = 32
CREATE, DROP = "create.sql", "drop.sql"
SCRIPTS = Path(__file__).parent / "sql"


@dataclass(frozen=True)
class ReleaseDatabaseArgs:
    """Which server the database is in, and how psql runs."""

    #: Name of the service.
    service: str
    #: The release's namespace.
    namespace: pulumi.Input[str]
    #: Name of the release's database and role.
    name: str
    #: The platform's own database, with the administrator's login.
    server: Database
    #: The user of the platform's own database, who keeps access to it when all others lose it. None: the database to
    #: which the administrator connects is not the platform's own, and its rights stay as they are.
    server_user: str | None
    #: How the clean-up on `destroy` reaches the cluster.
    cluster: ClusterAccess
    #: Whether the engine refuses to drop the database.
    protect: bool
    #: The registry into which a client image named by digest is copied.
    registry: Registry
    #: Image with psql.
    client_image: str
    #: Seconds that a rollout may take; the Jobs get as long.
    rollout_timeout_seconds: int
    #: Whether the server's address is outside the cluster and in a private network.
    server_is_private: bool = True
    #: Whether `destroy` leaves database and role in the server.
    keep: bool = False


class ReleaseDatabase(Component):
    """A database, and a role that only this release uses.

    Creates a password, a Secret with the administrator's login, a NetworkPolicy, and a Job that creates both from
    inside the cluster, because nothing else reaches the server. `destroy` runs a Job that drops both, unless they are
    kept. The role has no rights on other databases, and only the administrator has rights on this one as well.
    """

    #: Its host is known once the database exists, so whatever uses it waits, and `destroy` removes that first.
    connection: Database

    def __init__(
        self,
        name: str,
        args: ReleaseDatabaseArgs,
        kubernetes: k8s.Provider,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("kubernetes:ReleaseDatabase", name, opts)
        self._args = args
        self._labels = Labels(app=f"{args.service}-db-release", part_of=args.service)
        self._options = pulumi.ResourceOptions(parent=self, provider=kubernetes)
        password = random.RandomPassword(
            "database-password", length=PASSWORD_LENGTH, special=False, opts=pulumi.ResourceOptions(parent=self)
        ).result
        job = self._job(self._secret(password), password)
        created = job if args.keep else self._cleanup(job)
        self.connection = Database(
            host=pulumi.Output.all(args.server.host, job.id, created.id).apply(lambda values: values[0]),
            port=args.server.port,
            name=args.name,
            user=args.name,
            password=pulumi.Output.secret(password),
            ssl=args.server.ssl,
            ca=args.server.ca,
        )
        self.register_outputs({"host": self.connection.host, "name": args.name})

    def _secret(self, password: pulumi.Output[str]) -> k8s.core.v1.Secret:
        more = {
            **({"PLATFORM_USER": self._args.server_user} if self._args.server_user else {}),
            # Without a known authority, the connection is encrypted but not verified.
            **({"PGSSLMODE": "require"} if self._args.server.ssl and self._args.server.ca is None else {}),
            "RELEASE_DATABASE": self._args.name,
            "RELEASE_PASSWORD": password,
            CREATE: (SCRIPTS / "create_release_database.sql").read_text(),
            DROP: (SCRIPTS / "drop_release_database.sql").read_text(),
        }
        return login_secret(self._labels, self._args.namespace, self._args.server, self._options, more)

    def _job(self, secret: k8s.core.v1.Secret, password: pulumi.Output[str]) -> k8s.batch.v1.Job:
        settings = {"host": self._args.server.host, "database": self._args.name, "password": password}
        return psql_job(
            "database",
            self._labels,
            self._args.namespace,
            database_client_policy(
                "database",
                self._labels,
                self._args.namespace,
                self._args.server.port,
                self._options,
                PRIVATE_RANGES if self._args.server_is_private else (),
            ),
            {"addressbook/settings-fingerprint": fingerprint(self._args.server.password, settings)},
            psql_pod(
                "psql",
                copy_if_by_digest(self._args.client_image, self._args.registry, self._args.service, parent=self),
                _file(CREATE),
                secret,
                verified=self._args.server.ca is not None,
                files=(AUTHORITY, CREATE, DROP),
                pull_secret=self._args.registry.pull_secret,
            ),
            self._args.rollout_timeout_seconds,
            self._options,
        )

    def _cleanup(self, job: k8s.batch.v1.Job) -> CleanupOnDestroy:
        name = self._args.name
        return CleanupOnDestroy(
            "database",
            CleanupOnDestroyArgs(
                cluster=self._args.cluster,
                namespace=self._args.namespace,
                job=job.metadata.apply(lambda metadata: metadata.name or ""),
                args=_file(DROP),
                subject=f"database {name}",
                by_hand=f'drop it as the server\'s administrator (DROP DATABASE "{name}"; DROP ROLE "{name}"), if the'
                " server is still there, then `pulumi state delete` this resource",
            ),
            opts=pulumi.ResourceOptions(parent=self, protect=self._args.protect),
        )


def _file(script: str) -> list[str]:
    return [f"--file={FILES}/{script}"]
