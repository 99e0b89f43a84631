"""Cloud ``local``: a cluster that exists already, named by its kubeconfig context, and a database inside it."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, field_validator

from components.local.cluster import Cluster, ClusterArgs, kube_contexts
from components.local.database import LocalDatabase, LocalDatabaseArgs
from components.namespace import namespace
from contract.errors import invalid_config
from contract.platform import Administrator, ClusterAccess, Platform, Registry
from contract.settings import DatabaseClientKeys, Keys, Quantity, Settings
from stacks.platform_reference import Connection


class PlatformKeys(Keys):
    """Config keys of a local platform."""

    kube_context: str
    registry: str = Field(pattern=r"^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._/-]+)?$")
    database_image: str = "postgres:15-bookworm"
    database_storage: Quantity = "1Gi"

    @field_validator("kube_context")
    @classmethod
    def _exists(cls, value: str) -> str:
        if unknown := _unknown(value):
            raise ValueError(unknown)
        return value

    def owns_image(self, image: str) -> bool:
        """By the registry's name, which its images' begin with."""
        return image.startswith(f"{self.registry}/")


class ReleaseStackKeys(DatabaseClientKeys):
    """Config keys of a stack on another's local platform; the other stack names cluster and registry."""


def _unknown(context: str) -> str:
    """Why there is no such context; "" if there is."""
    contexts = kube_contexts()
    known = ", ".join(contexts) or "none"
    wrong = f"no such context in the kubeconfig; there: {known}. `kubectl config get-contexts` lists them"
    return "" if context in contexts else wrong


def provision(settings: Settings[PlatformKeys]) -> Platform:
    """The named cluster, its registry, and a PostgreSQL in the release's namespace."""
    keys = settings.platform
    cluster = Cluster("cluster", ClusterArgs(context=keys.kube_context))
    space = namespace(settings.stack.namespace, cluster.kubernetes)
    database = LocalDatabase(
        "database",
        LocalDatabaseArgs(
            service=settings.service.name,
            namespace=space.metadata["name"],
            image=keys.database_image,
            storage=keys.database_storage,
            rollout_timeout_seconds=settings.service.rollout_timeout_seconds,
        ),
        kubernetes=cluster.kubernetes,
    )
    return Platform(
        kubernetes=cluster.kubernetes,
        namespace=space.metadata["name"],
        registry=Registry(url=keys.registry),
        database=database.connection,
        outputs={"kubeContext": keys.kube_context},
        # The image makes its first user an administrator.
        administrator=Administrator(database.connection.user, database.connection.password),
        access={"kubeContext": keys.kube_context, "registry": keys.registry},
    )


def connect(settings: Settings[ReleaseStackKeys], access: Mapping[str, str]) -> Connection:
    """The cluster and the registry of another stack's platform. Raises pulumi.RunError."""
    context = access["kubeContext"]
    if unknown := _unknown(context):
        raise invalid_config(
            [f"platformStack = {settings.stack.platform_stack!r}: is on context `{context}`; {unknown}"]
        )
    cluster = Cluster("cluster", ClusterArgs(context=context))
    return Connection(
        kubernetes=cluster.kubernetes,
        cluster=ClusterAccess(context=context),
        registry=Registry(url=access["registry"]),
        outputs={"kubeContext": context},
    )
