"""Cloud ``local``: an existing cluster, named by its kubeconfig context, with a database inside it."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
from pydantic import Field, ValidationInfo, field_validator

from components.local.cluster import Cluster, ClusterArgs, kube_contexts
from components.local.database import LocalDatabase, LocalDatabaseArgs
from components.local.dump import MAX_DUMP_BYTES, packed
from components.namespace import namespace
from contract.errors import invalid_config
from contract.platform import Administrator, ClusterAccess, Connection, Database, Entrance, Platform, Registry
from contract.project import PROJECT_ROOT
from contract.restore import Restore, check_parts
from contract.settings import DatabaseClientKeys, Quantity, Settings
from stacks.entrance import GatewayKeys
from stacks.existing_server import DatabaseServerKeys, existing_server_database


class PlatformKeys(DatabaseServerKeys, GatewayKeys):
    """Config keys of a local platform."""

    kube_context: str = Field(
        examples=["kind-kind"],
        description="Context of the cluster in your kubeconfig. The program never uses the current context.",
    )
    registry: str = Field(
        examples=["localhost:5001"],
        pattern=r"^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._/-]+)?$",
        description="Registry (host:port, optionally a path) that images are pushed to and the cluster pulls from.",
    )
    database_image: str = Field(
        default="postgres:15-bookworm", description="PostgreSQL image with the official image's interface."
    )
    database_storage: Quantity = Field(default="1Gi", description="Size of the database's volume.")
    database_restore: Restore = Field(
        default={},
        description="Begin the database from a backup: `dump` (file that `pg_dump` wrote as plain SQL, relative to"
        " Pulumi.yaml). It is loaded into an empty database only. See docs/how-to/restore.md.",
    )

    @field_validator("kube_context")
    @classmethod
    def _require_context(cls, value: str) -> str:
        if error := _context_error(value):
            raise ValueError(error)
        return value

    @field_validator("database_restore")
    @classmethod
    def _require_dump(cls, value: Restore, others: ValidationInfo) -> Restore:
        check_parts(value, frozenset({"dump"}))
        if value and others.data.get("database_server"):
            raise ValueError("is only for a server of the stack's own; load the dump into databaseServer with psql")
        if value:
            file = PROJECT_ROOT / value["dump"]
            if not file.is_file():
                raise ValueError("dump: there is no such file; once the database is restored, remove the key")
            if len(packed(file)) > MAX_DUMP_BYTES:
                raise ValueError(
                    f"dump is larger than {MAX_DUMP_BYTES // 1024} KiB after compression, the most that a Secret holds;"
                    " load it with psql instead"
                )
        return value

    def owns_image(self, image: str) -> bool:
        """Return whether the image's name begins with the registry's."""
        return image.startswith(f"{self.registry}/")


class ReleaseStackKeys(DatabaseClientKeys, GatewayKeys):
    """Config keys of a release stack. The platform's stack names the cluster and the registry."""


def _context_error(context: str) -> str:
    """Return an error if the kubeconfig does not have the context, else ""."""
    contexts = kube_contexts()
    if context in contexts:
        return ""
    return (
        f"no such context in the kubeconfig, which has: {', '.join(contexts) or 'none'}"
        " (`kubectl config get-contexts` lists them)"
    )


def provision(settings: Settings[PlatformKeys]) -> Platform:
    """Declare access to the cluster and a PostgreSQL in the release's namespace."""
    keys = settings.platform
    cluster = Cluster("cluster", ClusterArgs(context=keys.kube_context))
    own_namespace = namespace(settings.stack.namespace, cluster.kubernetes)
    registry, name = Registry(url=keys.registry), own_namespace.metadata["name"]
    if keys.database_server:
        access = ClusterAccess(context=keys.kube_context)
        database, administrator = existing_server_database(settings, name, cluster.kubernetes, access, registry)
    else:
        database = _own_database(settings, name, cluster)
        # The PostgreSQL image creates its first user as a superuser.
        administrator = Administrator(database.user, database.password)
    return Platform(
        kubernetes=cluster.kubernetes,
        cluster=ClusterAccess(context=keys.kube_context),
        namespace=own_namespace.metadata["name"],
        registry=registry,
        database=database,
        entrance=Entrance(hostname=keys.hostname, gateway=keys.portable_gateway),
        outputs={"kubeContext": keys.kube_context},
        administrator=administrator,
        access={"kubeContext": keys.kube_context, "registry": keys.registry},
    )


def _own_database(settings: Settings[PlatformKeys], namespace_name: pulumi.Input[str], cluster: Cluster) -> Database:
    """Declare a PostgreSQL in the release's namespace."""
    keys = settings.platform
    return LocalDatabase(
        "database",
        LocalDatabaseArgs(
            service=settings.service.name,
            namespace=namespace_name,
            image=keys.database_image,
            storage=keys.database_storage,
            rollout_timeout_seconds=settings.service.rollout_timeout_seconds,
            dump=PROJECT_ROOT / keys.database_restore["dump"] if keys.database_restore else None,
        ),
        kubernetes=cluster.kubernetes,
    ).connection


def connect(settings: Settings[ReleaseStackKeys], access: Mapping[str, str]) -> Connection:
    """Connect to another stack's platform. Raises pulumi.RunError if its context is not in the kubeconfig."""
    context = access["kubeContext"]
    if error := _context_error(context):
        raise invalid_config([f"platformStack = {settings.stack.platform_stack!r}: is on context `{context}`; {error}"])
    cluster = Cluster("cluster", ClusterArgs(context=context))
    return Connection(
        kubernetes=cluster.kubernetes,
        cluster=ClusterAccess(context=context),
        registry=Registry(url=access["registry"]),
        private_database=False,
        entrance=Entrance(hostname=settings.platform.hostname, gateway=settings.platform.portable_gateway),
        outputs={"kubeContext": context},
    )
