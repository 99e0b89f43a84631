"""Config keys ``databaseServer`` and ``databaseServerPassword``: a PostgreSQL server that exists already."""

from __future__ import annotations

import re
import ssl
from typing import Annotated, Any

import pulumi
import pulumi_kubernetes as k8s
from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from components.release_database import ReleaseDatabase, ReleaseDatabaseArgs
from contract.platform import Administrator, ClusterAccess, Database, Registry
from contract.project import PROJECT_ROOT
from contract.settings import DatabaseClientKeys, Settings

#: Database to which the administrator connects.
MAINTENANCE_DATABASE = "postgres"
POSTGRES_PORT = "5432"
REQUIRED, OPTIONAL = {"host", "user"}, {"port", "database", "ca"}
#: Longest name of a database or role (PostgreSQL documentation, Identifiers).
NAME_LENGTH = 63


class DatabaseServerKeys(DatabaseClientKeys):
    """Keys of a platform that may use an existing database server instead of its own."""

    database_server: dict[str, Annotated[str, BeforeValidator(str)]] = Field(
        default={},
        description="Existing PostgreSQL server for the stack's database: `host`, `user` (who may create databases and"
        " roles), `port` (5432), `database` (to which that user connects: postgres), `ca` (file with the authority of"
        " the server's certificate; without it, a public one). The stack creates a database and a role of its own"
        " there, and `destroy` leaves both. Unset: the stack has a server of its own.",
    )
    database_server_password: str = Field(
        default="",
        validate_default=True,
        repr=False,
        description="Password of the user in databaseServer. Set it with"
        " `pulumi config set --secret databaseServerPassword`.",
    )

    @field_validator("database_server")
    @classmethod
    def _require_parts(cls, value: dict[str, str]) -> dict[str, str]:
        if value and not (REQUIRED <= value.keys() <= REQUIRED | OPTIONAL):
            raise ValueError(
                "must have the parts host and user, and may have port, database and ca; the password belongs in"
                " databaseServerPassword"
            )
        if not value.get("port", POSTGRES_PORT).isdecimal():
            raise ValueError("port must be a number")
        if "ca" in value:
            _require_certificates(value["ca"])
        return value

    @field_validator("database_server_password")
    @classmethod
    def _require_password(cls, value: str, others: ValidationInfo) -> str:
        if bool(value) != bool(others.data.get("database_server")):
            raise ValueError("must be set together with databaseServer (`pulumi config set --secret`)")
        return value


def _require_certificates(file: str) -> None:
    try:
        ssl.create_default_context(cadata=(PROJECT_ROOT / file).read_text(errors="replace"))
    except (OSError, ssl.SSLError, ValueError):
        raise ValueError(f"ca: {file} does not exist or contains no certificates in PEM format") from None


def existing_server_database(
    settings: Settings[Any],
    namespace: pulumi.Input[str],
    kubernetes: k8s.Provider,
    cluster: ClusterAccess,
    registry: Registry,
) -> tuple[Database, Administrator]:
    """Declare the stack's own database in the existing server; return its connection and the server's administrator."""
    keys: DatabaseServerKeys = settings.platform
    server = keys.database_server
    password = pulumi.Output.secret(keys.database_server_password)
    database = ReleaseDatabase(
        "database",
        ReleaseDatabaseArgs(
            service=settings.service.name,
            namespace=namespace,
            name=own_name(pulumi.get_project(), pulumi.get_stack()),
            server=Database(
                host=server["host"],
                port=int(server.get("port", POSTGRES_PORT)),
                name=server.get("database", MAINTENANCE_DATABASE),
                user=server["user"],
                password=password,
                ssl=True,
                ca=(PROJECT_ROOT / server["ca"]).read_text() if "ca" in server else None,
            ),
            server_user=None,
            cluster=cluster,
            protect=False,
            registry=registry,
            client_image=keys.database_client_image,
            rollout_timeout_seconds=settings.service.rollout_timeout_seconds,
            server_is_private=False,
            keep=True,
        ),
        kubernetes=kubernetes,
    )
    return database.connection, Administrator(server["user"], password)


def own_name(project: str, stack: str) -> str:
    """Return the name of the stack's database and role. Other stacks, also in other clusters, may use the server."""
    return re.sub(r"[^a-z0-9_]", "_", f"{project}_{stack}".lower())[:NAME_LENGTH]
